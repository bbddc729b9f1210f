"""Symmetry: how often each space group occurs, and how far that is from a reference.

    TV = 1/2 sum over groups g of |p_g - q_g|

the total variation distance of the proportions p_g among generated crystals and q_g in a reference:
0 if they agree, 1 if no group is in both. Groups are spglib's, by number, at one tolerance for both
sets; crystals without a group count as a separate group (0).

What goes wrong otherwise: a generator whose crystals are all P1, with atoms slightly off their
symmetric positions, passes every test of validity and coverage; and labels of the reference from
another tolerance cannot be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from crystext.metrics.base import Metric, MetricInput, map_crystals
from crystext.structures.space_groups import find_space_group

NO_SPACE_GROUP = 0
"""Number for crystals without a space group by spglib."""
P1 = 1


def space_group_counts(groups: Iterable[int | None]) -> Counter[int]:
    """Return how often each group occurs; None (none found) counts as `NO_SPACE_GROUP`."""
    return Counter(NO_SPACE_GROUP if group is None else group for group in groups)


def total_variation(counts: Mapping[int, int], reference: Mapping[int, int]) -> float:
    """Return the total variation distance of two distributions, given as counts; nan if empty."""
    n, m = sum(counts.values()), sum(reference.values())
    if n == 0 or m == 0:
        return float("nan")
    groups = {*counts, *reference}
    return 0.5 * sum(abs(counts.get(g, 0) / n - reference.get(g, 0) / m) for g in groups)


def _distance(samples: MetricInput) -> float:
    counts, reference = (
        space_group_counts(
            map_crystals(find_space_group, crystals, samples.workers, samples.report)
        )
        for crystals in (samples.crystals, samples.required("reference").crystals)
    )
    return total_variation(counts, reference)


SPACE_GROUPS = Metric(
    name="space_groups",
    title="space groups, total variation distance",
    compute=_distance,
    better="lower",
    source="total variation distance of two distributions; space groups by spglib at 0.1 Å",
    requires=("reference",),
    libraries=("spglib",),
)
