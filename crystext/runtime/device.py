"""The device of a network: a GPU if there is one, else the device it was loaded on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


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
