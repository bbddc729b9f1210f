"""Proportions and means with 95% intervals.

Proportion: count / number of samples, with Wilson's score interval (SciPy's). For n samples, p the
proportion and z the quantile of the normal distribution (1.96 for 95%),

    (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n).

Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927). The textbook interval
p ± z sqrt(p(1 - p)/n) has zero width at p = 0 or 1, which are common for samples of crystals; and a
proportion whose denominator leaves out failures cannot be compared with another.

Mean: with Student's quantile t (1.96 for 95% and large n),

    x̄ = sum x_i / n,    x̄ ± t_{n-1} s / sqrt(n),    s² = sum (x_i - x̄)² / (n - 1).

Source: Student, Biometrika 6, 1 (1908). Without an interval, two models seem to differ by a decimal
that another seed would change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Proportion:
    """A count out of a total."""

    count: int
    total: int
    """Number of samples, failures included; at least 1."""

    @property
    def value(self) -> float:
        """The proportion itself, between 0 and 1."""
        return self.count / self.total

    def wilson_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the lower and the upper end of Wilson's interval."""
        from scipy.stats import binomtest

        result = binomtest(self.count, self.total)
        low, high = result.proportion_ci(confidence, method="wilson")
        return float(low), float(high)


class MeanInterval(NamedTuple):
    """The mean of some values and the ends of its interval; nan if there are too few."""

    value: float
    low: float
    high: float
    n: int
    """Number of values."""


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Return the mean of the finite values; its interval needs two of them."""
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
