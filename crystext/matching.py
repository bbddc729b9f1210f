"""When two crystals are the same: pymatgen's StructureMatcher, set up for many comparisons.

Each crystal is reduced once (Niggli, then primitive), only crystals of one reduced formula are
compared, and formulas are spread over processes. What the matcher answers is left untouched.

It is neither transitive nor always symmetric, so which crystals are compared, and in which order,
is part of the result. Tolerances decide it as much: they are named wherever a number is printed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from crystext.crystal import Crystal, Ints
from crystext.properties import reduced_formula

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

_Group = TypeVar("_Group")
_Answer = TypeVar("_Answer")

_MAX_LATTICE_POINTS = 5000
"""Lattice points that one comparison may list. Half of 6,000 crystals of Materials Project need at
most 17, the thinnest of them 1,918; without a limit, one needle of a cell takes all memory."""


@dataclass(frozen=True)
class Tolerances:
    """How far two crystals may differ and still be one. Defaults are DiffCSP's.

    Source: Jiao et al., NeurIPS 2023, arXiv:2309.04475. These are wide: rock salt matches even its
    copy with both atoms nearly on one place. Pymatgen's own defaults are stricter (0.2, 0.3, 5).
    """

    ltol: float = 0.3
    """Of lengths, as a fraction."""
    stol: float = 0.5
    """Of sites, as a fraction of (V / N)^(1/3)."""
    angle_tol: float = 10.0
    """Of angles, in degrees."""

    def matcher(self) -> StructureMatcher:
        """Return pymatgen's matcher with these tolerances."""
        from pymatgen.analysis.structure_matcher import StructureMatcher

        return StructureMatcher(ltol=self.ltol, stol=self.stol, angle_tol=self.angle_tol)


DIFFCSP = Tolerances()


def reduce_for_matching(crystal: Crystal) -> Structure | None:
    """Return the structure that `StructureMatcher.fit` would make of a crystal before comparing.

    None where the cell has no Niggli form, or is so thin that listing the lattice points within
    its longest vector would take all memory; such a crystal is taken to match nothing.
    """
    structure = crystal.structure
    # Before the Niggli reduction too: it lists the same points.
    if _lattice_points(structure.lattice.get_lll_reduced_lattice()) > _MAX_LATTICE_POINTS:
        return None
    try:
        reduced = structure.get_reduced_structure("niggli").get_primitive_structure()
    except ValueError:
        return None
    return None if _lattice_points(reduced.lattice) > _MAX_LATTICE_POINTS else reduced


def _lattice_points(lattice: Lattice) -> float:
    """Return about how many lattice points the matcher lists: those within the longest vector."""
    return 4 / 3 * math.pi * (max(lattice.abc) * (1 + DIFFCSP.ltol)) ** 3 / lattice.volume


def is_same(matcher: StructureMatcher, first: Structure | None, second: Structure | None) -> bool:
    """Say whether two structures from `reduce_for_matching` match; None matches nothing."""
    if first is None or second is None or len(first) != len(second):
        return False
    return bool(matcher.fit(first, second, skip_structure_reduction=True))


def group_by_formula(numbers: Iterable[Ints]) -> dict[str, list[int]]:
    """Return the indices of all crystals, given by atomic numbers, under their reduced formula."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, atoms in enumerate(numbers):
        groups[reduced_formula(atoms)].append(i)
    return dict(groups)


def map_groups(
    function: Callable[[_Group], _Answer], groups: Sequence[_Group], workers: int
) -> list[_Answer]:
    """Return `function` of each group, in their order, computed by so many processes.

    The processes are spawned: they share no state, and a calling script needs its
    `if __name__ == "__main__":`.
    """
    if workers <= 1 or len(groups) < 2:
        return [function(group) for group in groups]
    chunk = max(1, len(groups) // (8 * workers))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(function, groups, chunksize=chunk))
