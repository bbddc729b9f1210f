"""Elements: how often each occurs, as a ratio to the reference.

    p_e = #{samples that are crystals with element e} / number of samples
    q_e = the same in the reference,    ratio_e = p_e / q_e

for each element with q_e of at least 1%. An element is out of range if its ratio is below 0.75 or
above 1.33, three quarters either way. The limits are our own.

What goes wrong otherwise: distributions of density and of the number of elements agree with the
reference although a generator writes half as many oxides of vanadium, or twice as much hafnium.
Ratios of rare elements are noise: of 1,000 samples, 10 have an element of 1%, give or take 3.
`expected_out_of_range` says how many elements are out of range by chance alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crystext.metrics.base import Metric, MetricInput
from crystext.structures.crystal import Crystal

MIN_REFERENCE_PROPORTION = 0.01
"""Proportion of the reference's crystals from which on an element is compared."""

RATIO_RANGE = (0.75, 1.33)
"""Ratios that are in range, ends included."""

ELEMENTS_SOURCE = "our own"


class ElementRatio(NamedTuple):
    """How often an element occurs, compared with the reference."""

    symbol: str
    n: int
    """Samples with the element."""
    proportion: float
    """Of all samples."""
    reference_proportion: float
    ratio: float


def count_elements(crystals: Iterable[Crystal]) -> Counter[str]:
    """Return the number of crystals that hold each element."""
    # In the order of the sites, so that equal counts have one order.
    return Counter(symbol for crystal in crystals for symbol in dict.fromkeys(crystal.symbols))


def element_ratios(
    crystals: Sequence[Crystal],
    reference: Sequence[Crystal],
    *,
    n_samples: int,
    min_proportion: float = MIN_REFERENCE_PROPORTION,
) -> list[ElementRatio]:
    """Return the ratio of each element that is frequent in the reference, the lowest first.

    Args:
        crystals: those of the samples.
        reference: at least one crystal.
        n_samples: number of samples, failures included; at least 1.
        min_proportion: of the reference's crystals, from which on an element is compared.
    """
    counts, known = count_elements(crystals), count_elements(reference)
    ratios = [
        ElementRatio(
            symbol,
            counts[symbol],
            counts[symbol] / n_samples,
            count / len(reference),
            counts[symbol] / n_samples / (count / len(reference)),
        )
        for symbol, count in known.items()
        if count >= min_proportion * len(reference)
    ]
    return sorted(ratios, key=lambda x: (x.ratio, x.symbol))


def out_of_range(
    ratios: Sequence[ElementRatio], limits: tuple[float, float] = RATIO_RANGE
) -> list[ElementRatio]:
    """Return the elements whose ratio is outside the limits."""
    low, high = limits
    return [x for x in ratios if not low <= x.ratio <= high]


def expected_out_of_range(
    ratios: Sequence[ElementRatio], n_samples: int, limits: tuple[float, float] = RATIO_RANGE
) -> float:
    """Return how many elements would be out of range if samples were drawn from the reference.

    Each count is then binomial, with the element's proportion in the reference.
    """
    from scipy.stats import binom

    low, high = limits
    expected = 0.0
    for x in ratios:
        mean = n_samples * x.reference_proportion
        counts = binom(n_samples, x.reference_proportion)
        expected += float(
            counts.cdf(math.ceil(low * mean) - 1) + counts.sf(math.floor(high * mean))
        )
    return expected


def _ratios(samples: MetricInput) -> list[ElementRatio]:
    """Return the ratios; none without a crystal."""
    known = samples.required("reference").crystals
    if not samples.crystals:
        return []
    return element_ratios(samples.crystals, known, n_samples=len(samples.samples))


def _out_of_range(samples: MetricInput) -> float | None:
    ratios = _ratios(samples)
    return len(out_of_range(ratios)) if ratios else None


def _lowest(samples: MetricInput) -> float | None:
    return min((x.ratio for x in _ratios(samples)), default=None)


def _highest(samples: MetricInput) -> float | None:
    return max((x.ratio for x in _ratios(samples)), default=None)


ELEMENTS_OUT_OF_RANGE = Metric(
    name="elements_out_of_range",
    title=f"elements outside {RATIO_RANGE[0]:g} to {RATIO_RANGE[1]:g} of the reference",
    compute=_out_of_range,
    better="lower",
    source=ELEMENTS_SOURCE,
    requires=("reference",),
)

LOWEST_ELEMENT_RATIO = Metric(
    name="lowest_element_ratio",
    title="lowest ratio of an element to the reference",
    compute=_lowest,
    better="higher",
    source=ELEMENTS_SOURCE,
    requires=("reference",),
)

HIGHEST_ELEMENT_RATIO = Metric(
    name="highest_element_ratio",
    title="highest ratio of an element to the reference",
    compute=_highest,
    better="lower",
    source=ELEMENTS_SOURCE,
    requires=("reference",),
)
