"""The moving average of the trainable weights, which is scored and saved.

torch's `AveragedModel` copies the whole module, frozen weights of a base included, and cannot copy
a sharded one, so only its formula is used here, on the trainable weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average; with a decay of 0 it is the weights themselves."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p.detach().clone() for n, p in trainable_parameters(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Update with the weights after a step; early on the average forgets faster."""
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        parameters = trainable_parameters(network)
        weights = list(self.weights.values())
        average(
            weights,
            [parameters[name].to(weight.dtype) for name, weight in self.weights.items()],
            step,
        )


def trainable_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name."""
    return {n: p for n, p in network.named_parameters() if p.requires_grad}


@torch.no_grad()
def set_trainable_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Set the trainable weights."""
    for name, parameter in trainable_parameters(network).items():
        parameter.copy_(weights[name])


@contextmanager
def swapped_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Temporarily replace the trainable weights of a network."""
    own = {n: p.detach().clone() for n, p in trainable_parameters(network).items()}
    set_trainable_weights(network, weights)
    try:
        yield
    finally:
        set_trainable_weights(network, own)
