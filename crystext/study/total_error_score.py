"""The total error score (TES): how far a group stays behind the best one, summed over the tasks.

    m[g, d]   mean metric of the selected runs of group g on task d
    b[d]      the best group's mean: the least, or the greatest where higher is better
    TES[g]    sum over d of |m[g, d] - b[d]|

Source: arXiv:2405.00949. A group that is best on every task has 0. The score depends on which
groups compete, and adds metrics of different scales: a task whose metric varies more counts more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Floats
from crystext.study.finite_values import finite_mean, finite_std
from crystext.study.study_data import Grouping, Study


class GroupMeans(NamedTuple):
    """The mean metric of G groups on T tasks, and its uncertainty."""

    mean_GT: Floats
    cell_error_GT: Floats
    """Standard error by cells: standard deviation of the cells' means over the square root of their
    number; nan for one cell."""
    row_error_GT: Floats
    """Standard error by runs, as if repeats of one pretraining were independent: too small where
    they are alike."""
    n_cells_GT: Floats
    n_runs_GT: Floats


def group_means(study: Study, grouping: Grouping) -> GroupMeans:
    """Return the means of the selected runs of every group.

    Raises:
        InputError: a group has no run of a task.
    """
    metric = study.selected.metric_CRT
    _refuse_empty_groups(study, grouping)
    parts = []
    for group in range(len(grouping.names)):
        runs = metric[grouping.group_C == group]
        cell_means = finite_mean(runs, axis=1)
        rows = runs.reshape(-1, runs.shape[-1])
        parts.append((
            finite_mean(rows, axis=0), _error(cell_means), _error(rows),
            np.isfinite(cell_means).sum(axis=0), np.isfinite(rows).sum(axis=0),
        ))  # fmt: skip
    return GroupMeans(*(np.array(x, dtype=np.float64) for x in zip(*parts, strict=True)))


def total_error_scores(mean_GT: Floats, sign_T: Floats) -> Floats:
    """Return the TES of groups.

    Args:
        mean_GT: mean metrics, shape (..., G, T).
        sign_T: 1 where lower metrics are better, -1 where higher ones are.

    Returns:
        Scores of shape (..., G); lower is better.
    """
    signed = mean_GT * sign_T
    scores: Floats = (signed - signed.min(axis=-2, keepdims=True)).sum(axis=-1)
    return scores


def _refuse_empty_groups(study: Study, grouping: Grouping) -> None:
    runs = np.isfinite(study.selected.metric_CRT)
    lacking = [
        f"{name} on {task.name}"
        for group, name in enumerate(grouping.names)
        for i, task in enumerate(study.tasks)
        if not runs[grouping.group_C == group, :, i].any()
    ]
    if lacking:
        listed = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        raise InputError(
            f"a total error score needs every group on every task; by {grouping.title} there is no "
            f"run of {listed}: add these runs, or leave the task out of the table"
        )


def _error(rows: Floats) -> Floats:
    """Return the standard error of the mean of each column; nan with fewer than two values."""
    error: Floats = finite_std(rows, axis=0) / np.sqrt(np.isfinite(rows).sum(axis=0).clip(1))
    return error
