"""Where a network is run: on a GPU if there is one, else where it was loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


def move_to_gpu(network: nn.Module) -> None:
    """Move a network to a GPU if there is one and it is not there yet.

    Of several GPUs it is the one whose number the launcher of processes (torchrun, accelerate)
    gave to this process, as LOCAL_RANK, and else the first.
    """
    if not torch.cuda.is_available() or all(p.is_cuda for p in network.parameters()):
        return
    rank = os.environ.get("LOCAL_RANK", "0")
    place = int(rank) if rank.isdecimal() else 0
    network.to(torch.device("cuda", place % torch.cuda.device_count()))
