"""The device of a network, a GPU if there is one, and what the processor calculates well in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn


CPU = torch.device("cpu")


def move_to_gpu(network: nn.Module) -> None:
    """Move a network to a GPU if there is one and it is not there yet.

    Of several GPUs, use the one whose number the process launcher (torchrun, accelerate) sets as
    LOCAL_RANK, else the first.
    """
    if not torch.cuda.is_available() or all(p.is_cuda for p in network.parameters()):
        return
    rank = os.environ.get("LOCAL_RANK", "0")
    place = int(rank) if rank.isdecimal() else 0
    network.to(torch.device("cuda", place % torch.cuda.device_count()))


def multiplies_bfloat16(device: torch.device = CPU) -> bool:
    """Return whether a device has instructions for bfloat16, or may have.

    Without them oneDNN (of torch 2.13) still multiplies bfloat16 on x86, and says that it supports
    it, at a quarter of the speed of float32; older GPUs emulate it. Processors that are not x86
    and accelerators that are not CUDA's are not told apart.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    # Newer than the oldest torch that is supported.
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if can.get("architecture") != "x86_64":
        return True
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
