"""A mean with its uncertainty.

    x̄ = sum x_i / n,    x̄ ± t_{n-1} s / sqrt(n),    s² = sum (x_i - x̄)² / (n - 1)

with Student's quantile t (1.96 for 95% and large n). Source: Student, Biometrika 6, 1 (1908). What
goes wrong otherwise: two models are told apart by a decimal that another seed would change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class MeanInterval(NamedTuple):
    """The mean of some values and the ends of its interval; nan where there are too few."""

    value: float
    low: float
    high: float
    n: int
    """How many values it is the mean of."""


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Return the mean of those values that are finite; its interval needs two of them."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    n = len(found)
    if n == 0:
        return MeanInterval(math.nan, math.nan, math.nan, 0)
    middle = float(found.mean())
    if n == 1:
        return MeanInterval(middle, math.nan, math.nan, 1)
    from scipy.stats import t

    half = float(t.ppf(0.5 + confidence / 2, n - 1) * found.std(ddof=1) / math.sqrt(n))
    return MeanInterval(middle, middle - half, middle + half, n)
