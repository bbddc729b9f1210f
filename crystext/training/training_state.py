"""The state carried between steps: weights, their average, optimizers, and the best loss.

A checkpoint holds it, so that a killed run resumes as if uninterrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from crystext.training.checkpoint import Tensors, optimizer_tensors, restore_optimizer
from crystext.training.early_stopping import EarlyStopping
from crystext.training.ema import WeightAverage, set_trainable_weights, trainable_parameters


class TrainingState:
    """The changing parts of a run; `step` is the number of completed steps."""

    def __init__(
        self,
        module: nn.Module,
        optimizers: Mapping[str, torch.optim.Optimizer],
        ema_decay: float,
        patience: int | None,
    ) -> None:
        """Start a run.

        Args:
            module: module with the trainable weights; if sharded, a process holds parts of them.
            optimizers: optimizers by the names of their files in a checkpoint.
            ema_decay: see `ema`.
            patience: see `early_stopping`.
        """
        self.module, self.optimizers = module, optimizers
        self.ema = WeightAverage(module, ema_decay)
        self.early_stopping = EarlyStopping(patience)
        self.step = 0

    def tensors(self) -> dict[str, Tensors]:
        """Return the tensors of a checkpoint, by the names of its files."""
        weights = {name: p.detach() for name, p in trainable_parameters(self.module).items()}
        best = self.early_stopping.best_weights
        return {
            "weights": weights,
            "ema": self.ema.weights,
            **({"best": best} if best else {}),
            **{name: optimizer_tensors(o) for name, o in self.optimizers.items()},
        }

    def values(self) -> dict[str, Any]:
        """Return the other values of a checkpoint, for JSON."""
        return {
            "step": self.step,
            "best_loss": self.early_stopping.best_loss,
            "evaluations_since_best": self.early_stopping.evaluations_since_best,
        }

    def restore(
        self, tensors: Mapping[str, Tensors], values: Mapping[str, Any], device: torch.device
    ) -> None:
        """Restore the results of `tensors` and `values` of an earlier process.

        Raises:
            LookupError: something is missing.
        """

        def on_device(group: Tensors) -> Tensors:
            return {name: group[name].to(device) for name in trainable_parameters(self.module)}

        set_trainable_weights(self.module, tensors["weights"])
        self.ema.weights = on_device(tensors["ema"])
        best = self.early_stopping
        best.best_weights = on_device(tensors["best"]) if "best" in tensors else {}
        best.best_loss = values["best_loss"]
        best.evaluations_since_best = values["evaluations_since_best"]
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, tensors[name])
        self.step = values["step"]
