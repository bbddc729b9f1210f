"""The moving average of the trainable weights, which is what is scored and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average; with a decay of 0 it is the weights themselves."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p.detach().clone() for n, p in trainable_parameters(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; early on the average forgets faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in trainable_parameters(network).items():
            self.weights[name].lerp_(parameter.to(self.weights[name].dtype), 1.0 - decay)


def trainable_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {n: p for n, p in network.named_parameters() if p.requires_grad}


@torch.no_grad()
def set_trainable_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Set the trainable weights."""
    for name, parameter in trainable_parameters(network).items():
        parameter.copy_(weights[name])


@contextmanager
def swapped_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Let a network have other trainable weights for a while."""
    own = {n: p.detach().clone() for n, p in trainable_parameters(network).items()}
    set_trainable_weights(network, weights)
    try:
        yield
    finally:
        set_trainable_weights(network, own)
