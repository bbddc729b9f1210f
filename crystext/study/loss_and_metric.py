"""What a lower validation loss says about the metric, and what selecting by it costs.

Spearman's rank correlation of loss and metric is computed twice:

- between the selected runs of a task: each has the least loss of its checkpoints;
- within a run, over its checkpoints; the median over the runs is reported.

The two answer different questions. Selection leaves runs of nearly equal loss (a restriction of
range; Thorndike, Personnel Selection (1949)), and what is nearly equal cannot order anything: a
correlation of 0 between them does not mean that the loss does not tell.

Intervals are percentiles of a cluster bootstrap over cells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from crystext.structures.crystal import Floats, Ints
from crystext.study.finite_values import finite_mean, finite_median, finite_std
from crystext.study.study_data import Study

SAMPLES = 2000
"""Bootstrap samples of correlations."""

_MIN_RUNS = 3
"""Runs, or checkpoints of a run, that a correlation needs."""


class Estimate(NamedTuple):
    """A number with the ends of its 95% interval; nan where undefined."""

    value: float
    low: float
    high: float


class LossAndMetric(NamedTuple):
    """How loss and metric of a task go together."""

    task: str
    higher_is_better: bool
    between: Estimate
    """Spearman's correlation between the selected runs."""
    within: Estimate
    """Its median over runs, each over its checkpoints."""
    n_runs: int
    n_runs_within: int
    """Runs with enough checkpoints of different loss."""
    n_lower_loss_helps: int
    """Of these, runs in which a lower loss goes with a better metric."""
    range_ratio: float
    """Standard deviation of the loss between selected runs over its median within a run."""
    selected: Estimate
    """Mean metric of the checkpoints selected by loss."""
    best: Estimate
    """Mean of the best metric of any checkpoint: what a perfect selection would reach. It is chosen
    on the test records themselves, and nobody can have it."""
    cost: Estimate
    """How much worse the selected metric is, in the mean; never below 0."""


def loss_and_metric(study: Study, *, samples: int = SAMPLES, seed: int = 0) -> list[LossAndMetric]:
    """Return the correlations and the cost of selection of every task.

    Args:
        study: of one task or more.
        samples: bootstrap samples.
        seed: of the samples.
    """
    cells = np.random.default_rng(seed).integers(0, len(study.cells), (samples, len(study.cells)))
    return [_of_task(study, i, cells) for i in range(len(study.tasks))]


def spearman(x: Floats, y: Floats) -> Floats:
    """Return Spearman's correlation along the last axis, over the places where both are finite.

    Args:
        x: values, shape (..., N); ties have their mean rank.
        y: values of the same shape.

    Returns:
        Shape (...); nan with fewer than three values, or where all are equal.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    count = finite.sum(axis=-1)
    ranks = [
        rankdata(np.where(finite, values, np.nan), axis=-1, nan_policy="omit") for values in (x, y)
    ]
    centred = [np.where(finite, rank - (count[..., None] + 1) / 2, 0.0) for rank in ranks]
    product = (centred[0] * centred[1]).sum(axis=-1)
    scale = np.sqrt((centred[0] ** 2).sum(axis=-1) * (centred[1] ** 2).sum(axis=-1))
    defined = (count >= _MIN_RUNS) & (scale > 0)
    correlation: Floats = np.divide(
        product, scale, out=np.full(product.shape, math.nan), where=defined
    )
    return correlation


def _of_task(study: Study, index: int, cells: Ints) -> LossAndMetric:
    task, selected = study.tasks[index], study.selected
    loss, metric, best = (x[:, :, index] for x in selected)
    sampled = cells.shape[0]
    between = spearman(loss.ravel(), metric.ravel())
    resampled = spearman(loss[cells].reshape(sampled, -1), metric[cells].reshape(sampled, -1))
    within = spearman(study.loss_CRTK[:, :, index], study.metric_CRTK[:, :, index])
    sign = study.sign_T[index]
    spread = finite_median(finite_std(study.loss_CRTK[:, :, index]))
    return LossAndMetric(
        task.name,
        task.higher_is_better,
        _estimate(float(between), resampled),
        _estimate(finite_median(within), np.array([finite_median(x) for x in within[cells]])),
        int(np.isfinite(metric).sum()),
        int(np.isfinite(within).sum()),
        int((sign * within > 0).sum()),
        float(finite_std(loss.ravel())) / spread if spread > 0 else math.nan,
        _mean_estimate(metric, cells),
        _mean_estimate(best, cells),
        _mean_estimate(sign * (metric - best), cells),
    )


def _mean_estimate(values_CR: Floats, cells: Ints) -> Estimate:
    samples = finite_mean(values_CR[cells].reshape(len(cells), -1))
    return _estimate(float(finite_mean(values_CR.ravel())), samples)


def _estimate(value: float, samples: Floats) -> Estimate:
    samples = samples[np.isfinite(samples)]
    if not math.isfinite(value) or len(samples) < 2:
        return Estimate(value, math.nan, math.nan)
    low, high = np.percentile(samples, (2.5, 97.5))
    return Estimate(value, float(low), float(high))
