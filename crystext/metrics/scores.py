"""A score of predictions: a value, the interval of it, and how many answers it is of.

Metrics of predictions (`regression`, `classification`, `interval_coverage`) return scores, so that
no figure stands without its number of valid answers. Intervals are percentiles of the score over
seeded bootstrap samples of the test records (Efron and Tibshirani, 1993): they tell chance in the
choice of test records, not in training.

What goes wrong otherwise: a model that answers only where it is sure looks better than one that
always answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.structures.crystal import Floats

BOOTSTRAP_SAMPLES = 1000
"""Default number of bootstrap samples."""

_PERCENTILES = (2.5, 97.5)
_MIN_DEFINED = 0.5
"""Share of bootstrap samples in which a score must be defined for an interval."""


class Score(NamedTuple):
    """A metric of predictions."""

    value: float
    """nan if undefined."""
    n_valid: int
    """Number of answers that it is of."""
    n: int
    """Number of test records, those without a valid answer included."""
    low: float = math.nan
    """Lower end of the 95% interval; nan without one."""
    high: float = math.nan
    reason: str = ""
    """Why it is undefined, in a sentence; empty if it is not."""


Statistic = Callable[[Floats, Floats], float]
"""Computes a metric of labels and valid predictions; nan if undefined."""


def score(
    truth: Floats,
    predicted: Floats,
    statistic: Statistic,
    *,
    bootstrap: int = BOOTSTRAP_SAMPLES,
    seed: int = 0,
    undefined: Callable[[Floats, Floats], str] = lambda truth, predicted: "",
) -> Score:
    """Return a metric over the valid answers, with its bootstrap interval.

    Args:
        truth: labels, shape (N,); records without a label (nan) do not count.
        predicted: answers, shape (N,); nan where invalid.
        statistic: the metric.
        bootstrap: number of bootstrap samples; 0 gives no interval.
        seed: of the samples.
        undefined: why the metric is undefined for these answers; empty if it is not.
    """
    truth, predicted = labelled(truth, predicted)
    valid = np.isfinite(predicted)
    y, p = truth[valid], predicted[valid]
    n_valid, n = len(y), len(truth)
    reason = undefined(y, p) if n_valid else "no answer is valid"
    if not n:
        reason = "no test record has a label"
    if reason:
        return Score(math.nan, n_valid, n, reason=reason)
    value = statistic(y, p)
    if not math.isfinite(value):
        return Score(math.nan, n_valid, n, reason="it is undefined for these values")
    low, high = bootstrap_interval(len(y), lambda i: statistic(y[i], p[i]), bootstrap, seed)
    return Score(value, n_valid, n, low, high)


def labelled(truth: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return the labels and answers of records that have a label.

    Raises:
        ValueError: the arrays have different lengths.
    """
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(f"labels have the shape {truth.shape}, answers {predicted.shape}")
    known = np.isfinite(truth)
    return truth[known], predicted[known]


def bootstrap_interval(
    n: int, of_sample: Callable[[NDArray[np.int64]], float], samples: int, seed: int
) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic of n records; nan without one.

    Args:
        n: number of records.
        of_sample: returns the statistic of the records with these indices, nan if undefined.
        samples: number of bootstrap samples.
        seed: of the samples.
    """
    if n < 2 or samples < 1:
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        values = np.array([of_sample(generator.integers(0, n, n)) for _ in range(samples)])
    values = values[np.isfinite(values)]
    if len(values) < _MIN_DEFINED * samples:
        return math.nan, math.nan
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
