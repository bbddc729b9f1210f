"""The metric of a task, as the rows of a study have it."""

from __future__ import annotations

from typing import Any

import numpy as np

METRICS = {"number": ("rmse", "RMSE", False), "boolean": ("roc_auc", "ROC AUC", True)}
"""By the kind of a task: name in results, name in rows, and whether higher is better."""


def metric_row(kind: str, epoch: int, loss: float | None, metric: float | None) -> dict[str, Any]:
    """Return what a row says of a checkpoint.

    Args:
        kind: of the task.
        epoch: of fine-tuning, from 1.
        loss: of validation.
        metric: of the test records.
    """
    _, title, higher = METRICS[kind]
    return {
        "epoch": epoch, "loss": loss, "metric": metric,
        "metric_name": title, "higher_is_better": higher,
    }  # fmt: skip


def finite(value: float) -> float | None:
    """Return a number as JSON has it: None where it is not finite."""
    return float(value) if np.isfinite(value) else None
