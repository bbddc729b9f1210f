"""Prediction intervals: how many hold the true value, and how wide they are.

Intervals of level 0.9 should hold the true value of 90% of the records; narrower ones are better
only if they do. Both ends belong to the interval. A record without an interval holds nothing, and
counts in `coverage_with_failures`.

Source: Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007), whose interval score joins both:
width + 2/α times the distance of a value outside, with α = 1 - level; lower is better.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystext.metrics.intervals import Proportion
from crystext.metrics.scores import BOOTSTRAP_SAMPLES, Score, bootstrap_interval
from crystext.structures.crystal import Floats

INTERVAL_LEVELS = (0.5, 0.9)
"""Probabilities with which the reported intervals should hold the true value."""


def interval_scores(
    truth: Floats,
    intervals: Floats,
    level: float,
    *,
    bootstrap: int = BOOTSTRAP_SAMPLES,
    seed: int = 0,
) -> dict[str, Score]:
    """Return coverage, mean width and interval score of the intervals of one level.

    Args:
        truth: labels of N test records; nan ones do not count.
        intervals: lower and upper ends, shape (N, 2); nan where there is none.
        level: the probability with which they should hold the label, between 0 and 1.
        bootstrap: number of bootstrap samples for width and interval score; the interval of a
            coverage is Wilson's.
        seed: of the samples.
    """
    truth, intervals = np.asarray(truth, np.float64), np.asarray(intervals, np.float64)
    if intervals.shape != (len(truth), 2):
        raise ValueError(f"intervals have the shape {intervals.shape}, labels {truth.shape}")
    known = np.isfinite(truth)
    y, (low, high) = truth[known], intervals[known].T
    valid = np.isfinite(low) & np.isfinite(high)
    n, n_valid = len(y), int(valid.sum())
    if not n_valid:
        reason = "no answer has an interval" if n else "no test record has a label"
        undefined = Score(np.nan, 0, n, reason=reason)
        failed = Score(0.0, 0, n) if n else undefined
        return {
            "coverage": undefined,
            "coverage_with_failures": failed,
            "width": undefined,
            "interval_score": undefined,
        }
    holds = valid & (low <= y) & (y <= high)
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    penalised = (high - low + 2 / (1 - level) * outside)[valid]
    width = (high - low)[valid]

    def proportion(count: int, total: int) -> Score:
        found = Proportion(count, total)
        return Score(found.value, n_valid, n, *found.wilson_interval())

    def mean(values: Floats) -> Score:
        ends = bootstrap_interval(len(values), lambda i: values[i].mean(), bootstrap, seed)
        return Score(float(values.mean()), n_valid, n, *ends)

    return {
        "coverage": proportion(int(holds.sum()), n_valid),
        "coverage_with_failures": proportion(int(holds.sum()), n),
        "width": mean(width),
        "interval_score": mean(penalised),
    }


TITLES: Mapping[str, str] = {
    "coverage": "coverage",
    "coverage_with_failures": "coverage, failures as misses",
    "width": "mean width",
    "interval_score": "interval score",
}
"""Titles of the scores for tables, in order."""


def residual_quantile(residuals: Floats, level: float) -> float:
    """Return the size that a new residual stays below with a probability of at least `level`.

    It is the ceil((n + 1) level)-th smallest of n absolute residuals on data that the model has not
    seen, or the largest if n is too small: split conformal prediction (Lei et al., J. Am. Stat.
    Assoc. 113, 1094 (2018)).
    """
    ordered = np.sort(np.abs(residuals))
    rank = int(np.ceil((len(ordered) + 1) * level))
    return float(ordered[min(rank, len(ordered)) - 1])
