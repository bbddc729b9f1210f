"""Ending a run that has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Patience:
    """The least mean validation loss so far, the weights that had it, and the evaluations since."""

    def __init__(self, evaluations: int | None) -> None:
        """Wait for so many evaluations without a new minimum; None waits for ever."""
        self.evaluations = evaluations
        self.least: float | None = None
        self.since = 0
        self.best: dict[str, torch.Tensor] = {}

    def watch(self, loss: float, weights: Mapping[str, torch.Tensor]) -> None:
        """Take in an evaluation."""
        if self.evaluations is None:
            return
        if self.least is None or loss < self.least:
            self.least, self.since = loss, 0
            self.best = {name: x.clone() for name, x in weights.items()}
        else:
            self.since += 1

    @property
    def ended(self) -> bool:
        """Whether there were enough evaluations without a new minimum."""
        return self.evaluations is not None and self.since >= self.evaluations

    def chosen(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights to save: the best, or those given where nothing was watched."""
        return self.best if self.evaluations is not None and self.best else weights
