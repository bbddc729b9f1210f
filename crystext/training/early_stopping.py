"""Early stopping of a run that no longer improves."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class EarlyStopping:
    """The minimum mean validation loss so far, its weights, and the number of evaluations since."""

    def __init__(self, patience: int | None) -> None:
        """Wait for this many evaluations without a new minimum; None never stops."""
        self.patience = patience
        self.best_loss: float | None = None
        self.evaluations_since_best = 0
        self.best_weights: dict[str, torch.Tensor] = {}

    def update(self, loss: float, weights: Mapping[str, torch.Tensor]) -> None:
        """Record an evaluation."""
        if self.patience is None:
            return
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.evaluations_since_best = loss, 0
            self.best_weights = {name: x.clone() for name, x in weights.items()}
        else:
            self.evaluations_since_best += 1

    @property
    def should_stop(self) -> bool:
        """Whether the patience is exhausted."""
        return self.patience is not None and self.evaluations_since_best >= self.patience

    def weights_to_save(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights to save: the best, or the given ones without early stopping."""
        return self.best_weights if self.patience is not None and self.best_weights else weights
