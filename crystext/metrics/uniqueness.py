"""Uniqueness: how many of the crystals are different.

    uniqueness = #{i : no kept j < i matches i} / number of samples

where i is kept if it matches no earlier kept crystal by StructureMatcher, in either order of the
two, oxidation states ignored (see `matching`). Source of the tolerances: DiffCSP (Jiao et al.,
arXiv:2309.04475). Enantiomorphs, such as P3_121 and P3_221, count as the same crystal.

What goes wrong otherwise: counting formulas alone calls two polymorphs one; counting texts calls a
shifted or rotated copy new. Matching is not transitive (a like b, b like c, a unlike c), so the
count depends slightly on the order of the crystals: keep the order of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crystext.metrics.base import DIFFCSP_SOURCE, Metric, MetricInput
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    FormulaGroup,
    MatchTolerances,
    group_by_formula,
    match_groups,
)


def duplicates_of(
    crystals: Sequence[Crystal],
    *,
    tolerances: MatchTolerances = DIFFCSP_TOLERANCES,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> list[int | None]:
    """Return, for each crystal, the index of the earlier one it repeats, or None if it is unique.

    The index is always of a unique crystal, so the number of None is the number of unique crystals.

    Args:
        crystals: in order of priority: of duplicates the first is kept.
        tolerances: of the matcher.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of formulas done, and of all.
    """
    repeats: list[int | None] = [None] * len(crystals)
    groups = [g for g in group_by_formula(c.numbers for c in crystals).values() if len(g) > 1]
    within = match_groups(
        _duplicates_in_group,
        [[crystals[i] for i in group] for group in groups],
        tolerances,
        workers,
        report,
    )
    for group, found in zip(groups, within, strict=True):
        for i, earlier in zip(group, found, strict=True):
            repeats[i] = None if earlier is None else group[earlier]
    return repeats


def _duplicates_in_group(crystals: list[Crystal], tolerances: MatchTolerances) -> list[int | None]:
    firsts = first_equal(FormulaGroup.of_crystals(crystals, tolerances), range(len(crystals)))
    return [None if first == i else first for i, first in enumerate(firsts)]


def first_equal(peers: FormulaGroup, members: Iterable[int]) -> list[int]:
    """Return for each of some crystals the first kept one that it matches: itself if it is kept.

    Args:
        peers: crystals of one formula.
        members: places in it, in order of priority.
    """
    kept: list[int] = []
    firsts: list[int] = []
    for i in members:
        firsts.append(next((k for k in kept if peers.match(k, i)), i))
        if firsts[-1] == i:
            kept.append(i)
    return firsts


def _unique(samples: MetricInput) -> list[bool | None]:
    earlier = duplicates_of(samples.crystals, workers=samples.workers, report=samples.report)
    return samples.per_sample([duplicate is None for duplicate in earlier])


UNIQUE = Metric(
    name="unique",
    title="unique",
    compute=_unique,
    better="higher",
    source=DIFFCSP_SOURCE,
    libraries=("pymatgen",),
)
