"""Novelty by matching: which crystals are already in the training set.

    novelty = #{i : no reference structure matches i} / number of samples

by StructureMatcher, in either order of the two, oxidation states ignored (see `matching`); a
crystal whose reduced formula is not in the reference is novel without a comparison. Source of the
tolerances: DiffCSP (Jiao et al., arXiv:2309.04475). Enantiomorphs, such as P3_121 and P3_221, count
as the same crystal: the mirror image of a known one is not novel.

What goes wrong otherwise: novelty by distance of fingerprints (CDVAE's) calls a structure novel for
a slightly different composition, and novelty by formula calls a new polymorph known. A failure is
not novel either: it belongs to the denominator, not to the count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crystext.data.store import Dataset
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


def find_matches(
    crystals: Sequence[Crystal],
    reference: Dataset,
    *,
    tolerances: MatchTolerances = DIFFCSP_TOLERANCES,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> list[int | None]:
    """Return, for each crystal, the first row of the reference that it matches, or None if novel.

    Args:
        crystals: generated crystals.
        reference: training crystals of the generator.
        tolerances: of the matcher.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of formulas done, and of all formulas in both sets.
    """
    groups = group_by_formula(c.numbers for c in crystals)
    ends = zip(reference.offsets[:-1], reference.offsets[1:], strict=True)
    known = group_by_formula(reference.numbers[start:end] for start, end in ends)
    shared = [formula for formula in groups if formula in known]
    found = match_groups(
        _matches_in_group,
        [
            (
                [crystals[i] for i in groups[formula]],
                [reference[row].crystal for row in known[formula]],
            )
            for formula in shared
        ],
        tolerances,
        workers,
        report,
    )
    rows: list[int | None] = [None] * len(crystals)
    for formula, matches in zip(shared, found, strict=True):
        for i, match in zip(groups[formula], matches, strict=True):
            rows[i] = None if match is None else known[formula][match]
    return rows


def _matches_in_group(
    group: tuple[list[Crystal], list[Crystal]], tolerances: MatchTolerances
) -> list[int | None]:
    crystals, references = group
    peers = FormulaGroup.of_crystals([*references, *crystals], tolerances)
    return [
        next((k for k in range(len(references)) if peers.match(k, i)), None)
        for i in range(len(references), len(references) + len(crystals))
    ]


def _novel(samples: MetricInput) -> list[bool | None]:
    matches = find_matches(
        samples.crystals,
        samples.required("training").dataset,
        workers=samples.workers,
        report=samples.report,
    )
    return samples.per_sample([match is None for match in matches])


NOVEL = Metric(
    name="novel",
    title="not in the training set",
    compute=_novel,
    requires=("training",),
    libraries=("pymatgen",),
    better="higher",
    source=DIFFCSP_SOURCE,
)
