"""A share of attempts with its uncertainty.

Share = count / number of attempts, with Wilson's score interval: for n attempts, p the share and z
the quantile of the normal distribution (1.96 for 95%),

    (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n).

Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927). The textbook interval
p ± z sqrt(p(1 - p)/n) has no width at p = 0 or 1, where samples of crystals often are; and a share
whose denominator leaves out what failed cannot be compared with another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Proportion:
    """So many of so many."""

    count: int
    total: int
    """Number of attempts, failed ones included; at least 1."""

    @property
    def value(self) -> float:
        """The share itself, between 0 and 1."""
        return self.count / self.total

    def wilson_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the lower and the upper end of Wilson's interval."""
        z2_n = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2 / self.total
        middle = self.value + z2_n / 2
        half = math.sqrt(z2_n * (self.value * (1 - self.value) + z2_n / 4))
        return max(0.0, (middle - half) / (1 + z2_n)), min(1.0, (middle + half) / (1 + z2_n))
