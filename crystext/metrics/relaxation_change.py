"""What a relaxation changes: the volume of a crystal, and whether it stays the same crystal.

    volume change = |V_relaxed / V - 1|
    matches its relaxed self   <=>   StructureMatcher maps one of the two on the other

with the tolerances of DiffCSP (Jiao et al., arXiv:2309.04475). Crystals of the Materials Project
are at a minimum of DFT, and hardly change; a generated crystal that changes much was drawn as
another one than the energy belongs to.

What goes wrong otherwise: an energy above the hull after relaxation hides that the crystal was far
from its minimum, and so that its lattice and its coordinates were wrong as drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    FormulaGroup,
    MatchTolerances,
    match_groups,
)


def volume_change(before: Crystal, after: Crystal) -> float:
    """Return the relative change of the volume, at least 0: 0.2 where it grows or shrinks by 20%.

    Args:
        before: as it was drawn.
        after: the same atoms, relaxed.
    """
    return abs(after.volume / before.volume - 1)


def matches_relaxed(
    pairs: Sequence[tuple[Crystal, Crystal]],
    *,
    tolerances: MatchTolerances = DIFFCSP_TOLERANCES,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> list[bool]:
    """Return whether each crystal matches its relaxed self.

    Args:
        pairs: crystals as drawn, and relaxed.
        tolerances: of the matcher.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of pairs done, and of all.
    """
    return match_groups(_is_match, pairs, tolerances, workers, report)


def _is_match(pair: tuple[Crystal, Crystal], tolerances: MatchTolerances) -> bool:
    return FormulaGroup.of_crystals(pair, tolerances).match(0, 1)
