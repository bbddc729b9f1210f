"""Dropout in the layers of a network whose weights are trained whole.

transformers' LLaMA has dropout for attention weights alone. Small networks that pass over the same
crystals many times learn them by heart without more of it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from crystext.errors import SettingError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BRANCHES = ("self_attn", "mlp")
"""What LLaMA and its kin call the two branches of a layer."""


def add_residual_dropout(network: PreTrainedModel, rate: float) -> None:
    """Set what each branch of each layer adds to zero at this rate, while the network trains.

    Source: residual dropout, Vaswani et al., arXiv:1706.03762, section 5.4.

    Raises:
        SettingError: the network's layers have no branches of the known names.
    """

    def dropped(module: nn.Module, _: Any, output: Any) -> Any:
        if not module.training:
            return output
        if isinstance(output, tuple):
            return (_dropout(output[0], rate), *output[1:])
        return _dropout(output, rate)

    branches: dict[str, list[nn.Module]] = {name: [] for name in _BRANCHES}
    for name, module in network.named_modules():
        if (last := name.split(".")[-1]) in branches:
            branches[last].append(module)
    if not all(branches.values()):
        raise SettingError(
            f"dropout: the layers of a {type(network).__name__} have no parts called "
            f"{' and '.join(_BRANCHES)}; expected a model built like LLaMA, or dropout: 0"
        )
    for module in chain(*branches.values()):
        module.register_forward_hook(dropped)


def _dropout(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Drop by 16 random bits a value on a CPU, where torch's dropout draws a number for each.

    Drawing takes an eighth of the time so, which saves a twentieth of a step of the shipped model.
    """
    if x.device.type != "cpu":
        return nn.functional.dropout(x, rate)
    numbers = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 4),), dtype=torch.int64)
    bits = numbers.view(torch.int16)[: x.numel()].view(x.shape)
    dropped = min(round(rate * 2**16), 2**16 - 1)
    return torch.where(bits < dropped - 2**15, 0, x * (2**16 / (2**16 - dropped)))


def dropout_seed(seed: int, step: int, process_index: int, micro_batch: int) -> int:
    """Return the seed of the random numbers that one part of a batch drops values by.

    It depends on nothing that came before, so that a run goes on from any step.
    """
    return int(
        np.random.SeedSequence([seed, step, process_index, micro_batch]).generate_state(1)[0]
    )
