"""Ending a run that has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class EarlyStopping:
    """The least mean validation loss so far, the weights that had it, and the evaluations since."""

    def __init__(self, patience: int | None) -> None:
        """Wait for so many evaluations without a new minimum; None waits for ever."""
        self.patience = patience
        self.best_loss: float | None = None
        self.evaluations_since_best = 0
        self.best_weights: dict[str, torch.Tensor] = {}

    def update(self, loss: float, weights: Mapping[str, torch.Tensor]) -> None:
        """Take in an evaluation."""
        if self.patience is None:
            return
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.evaluations_since_best = loss, 0
            self.best_weights = {name: x.clone() for name, x in weights.items()}
        else:
            self.evaluations_since_best += 1

    @property
    def should_stop(self) -> bool:
        """Whether there were enough evaluations without a new minimum."""
        return self.patience is not None and self.evaluations_since_best >= self.patience

    def weights_to_save(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights to save: the best, or those given where nothing was watched."""
        return self.best_weights if self.patience is not None and self.best_weights else weights
