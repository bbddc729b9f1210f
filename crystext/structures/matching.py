"""When two crystals are the same: pymatgen's StructureMatcher, set up for many comparisons.

Each crystal is reduced once (Niggli, then primitive), only crystals of one reduced formula are
compared, and formulas are spread over processes.

The matcher's answer may depend on which structure comes first: it maps the first lattice on the
second, and of 83 pairs of MP-20 test that match under DiffCSP's tolerances in some order, 5 match
in one order only (`matching_orders.json` in `evaluation/results`). So two crystals are the same
here if either can be mapped on the other. The answer also depends on oxidation states, if only one
side has them; crystals here are bare elements, whatever they were read from.

It can depend on the cell, too: pymatgen's search for a primitive cell merges atoms that are nearly
one lattice translation apart, as in a phase of gallium, whose primitive cell then does not match
its conventional one (`findings/pymatgen_primitive_gallium.sh`). The search is kept, because
published rates use it.

Matching is not transitive, so which crystals are compared is part of the result. So are the
tolerances: they are stated wherever a number is printed. Crystals that differ only by handedness,
such as quartz in P3_121 and in P3_221, match: the matcher accepts mappings that reflect.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from crystext.runtime.processes import Workers, run_in_order
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.structures.match_prefilter import can_be_superposed
from crystext.structures.properties import reduced_formula

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

_Group = TypeVar("_Group")
_Answer = TypeVar("_Answer")

_MAX_LATTICE_POINTS = 5000
"""Maximum number of lattice points that one comparison may list. Half of 6,000 crystals of the
Materials Project need at most 17, the thinnest 1,918; without a limit, one needle-shaped cell
takes all memory."""

_MIN_TASKS = 256
"""Minimum number of tasks for an executor whose number of workers is unknown."""


@dataclass(frozen=True)
class MatchTolerances:
    """How far two crystals may differ and still match. Defaults are DiffCSP's.

    Source: Jiao et al., NeurIPS 2023, arXiv:2309.04475. These are wide: rock salt even matches a
    copy with both atoms nearly at one point. pymatgen's defaults are stricter (0.2, 0.3, 5).
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


DIFFCSP_TOLERANCES = MatchTolerances()

PYMATGEN_TOLERANCES = MatchTolerances(ltol=0.2, stol=0.3, angle_tol=5.0)
"""pymatgen's defaults: databases treat crystals that match under these as one entry."""


def reduce_for_matching(crystal: Crystal) -> Structure | None:
    """Return the reduced structure of a crystal that `StructureMatcher.fit` compares.

    None if the cell has no Niggli form, or is so thin that listing the lattice points within its
    longest vector would take all memory; such a crystal matches nothing.
    """
    structure = crystal.structure
    # Checked before the Niggli reduction too, which lists the same points.
    if _lattice_points(structure.lattice.get_lll_reduced_lattice()) > _MAX_LATTICE_POINTS:
        return None
    try:
        reduced = structure.get_reduced_structure("niggli").get_primitive_structure()
    except ValueError:
        return None
    return None if _lattice_points(reduced.lattice) > _MAX_LATTICE_POINTS else reduced


def _lattice_points(lattice: Lattice) -> float:
    """Return roughly how many lattice points the matcher lists: those within the longest vector."""
    return (
        4 / 3 * math.pi * (max(lattice.abc) * (1 + DIFFCSP_TOLERANCES.ltol)) ** 3 / lattice.volume
    )


def is_same(matcher: StructureMatcher, first: Structure | None, second: Structure | None) -> bool:
    """Return whether two structures from `reduce_for_matching` match; None matches nothing.

    The order of the two does not matter: one mapping, either way, is enough.
    """
    if first is None or second is None:
        return False
    return _can_map(matcher, first, second) or _can_map(matcher, second, first)


def _can_map(matcher: StructureMatcher, first: Structure, second: Structure) -> bool:
    """Return whether the matcher maps the first structure on the second."""
    if len(first) != len(second) or not can_be_superposed(matcher, first, second):
        return False
    return bool(matcher.fit(first, second, skip_structure_reduction=True))


class FormulaGroup:
    """Crystals of one reduced formula, to be matched with each other.

    The results are those of `is_same`. The matcher maps the lattice of its first structure on that
    of its second, both scaled to one volume; pairs whose lengths rule that out skip the matcher,
    without changing any result.
    """

    def __init__(self, structures: Sequence[Structure | None], tolerances: MatchTolerances) -> None:
        """Take structures from `reduce_for_matching`; None matches nothing."""
        self.structures, self.matcher = structures, tolerances.matcher()
        self._sizes = np.array([0 if s is None else len(s) for s in structures])
        lengths = [np.zeros((2, 3)) if s is None else _scaled_lengths(s) for s in structures]
        self._minima, self._edges = np.array(lengths).reshape(-1, 2, 3).swapaxes(0, 1)
        self._set_max_lengths(tolerances)

    @classmethod
    def of_crystals(cls, crystals: Iterable[Crystal], tolerances: MatchTolerances) -> FormulaGroup:
        """Return the group of crystals that are not reduced yet."""
        return cls([reduce_for_matching(crystal) for crystal in crystals], tolerances)

    def with_tolerances(self, tolerances: MatchTolerances) -> FormulaGroup:
        """Return the same crystals with other tolerances."""
        other = copy(self)
        other.matcher = tolerances.matcher()
        other._set_max_lengths(tolerances)
        return other

    def _set_max_lengths(self, tolerances: MatchTolerances) -> None:
        # Vectors that fit the edges form a basis, so the k-th of them is at least as long as the
        # k-th minimum. The limit leaves room for rounding of both.
        self._max_lengths = self._edges * (1 + tolerances.ltol) * (1 + 1e-6)

    def candidates(self, i: int, among: Sequence[int]) -> list[int]:
        """Return those of some crystals that need the matcher."""
        others = np.asarray(among, dtype=np.int64)
        sized = (self._sizes[others] == self._sizes[i]) & (self._sizes[i] > 0)
        onto = (self._minima[i] <= self._max_lengths[others]).all(axis=1)
        back = (self._minima[others] <= self._max_lengths[i]).all(axis=1)
        return others[sized & (onto | back)].tolist()  # type: ignore[no-any-return]

    def match(self, i: int, j: int) -> bool:
        """Return whether two crystals match."""
        one, other = self.structures[i], self.structures[j]
        if one is None or other is None:
            return False
        return any(
            (self._minima[first] <= self._max_lengths[second]).all()
            and _can_map(self.matcher, structure, onto)
            for first, second, structure, onto in ((j, i, other, one), (i, j, one, other))
        )


def _scaled_lengths(structure: Structure) -> Floats:
    """Return the minima of a lattice and the edges of its cell, sorted, at volume 1; (2, 3)."""
    lattice = structure.lattice
    try:
        minima = sorted(lattice.get_niggli_reduced_lattice().abc)
    except ValueError:
        minima = [0.0] * 3
    lengths: Floats = np.array([minima, sorted(lattice.abc)]) / lattice.volume ** (1 / 3)
    return lengths


def group_by_formula(numbers: Iterable[Ints]) -> dict[str, list[int]]:
    """Return the indices of all crystals, given by atomic numbers, under their reduced formula."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, atoms in enumerate(numbers):
        groups[reduced_formula(atoms)].append(i)
    return dict(groups)


def match_groups(
    function: Callable[..., _Answer],
    groups: Sequence[object],
    tolerances: MatchTolerances,
    workers: Workers,
    report: Callable[[int, int], None],
) -> list[_Answer]:
    """Return `function(group, tolerances=tolerances)` of each group, in order, by all workers.

    Args:
        function: a function that a process can import.
        groups: crystals to be matched with each other, such as those of one formula.
        tolerances: of the matcher.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of groups done, and of all.

    Raises:
        RunError: a process died.
    """
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        report(done, len(groups))

    return map_groups(partial(function, tolerances=tolerances), groups, workers, advance)


def map_groups(
    function: Callable[[_Group], _Answer],
    groups: Sequence[_Group],
    workers: Workers,
    advance: Callable[[], object] = lambda: None,
    *,
    largest_first: bool = False,
) -> list[_Answer]:
    """Return `function` of each group, in order, computed by so many processes.

    The processes are spawned: they share no state, and a calling script needs its
    `if __name__ == "__main__":`.

    Args:
        function: a function that a process can import.
        groups: its arguments.
        workers: number of processes; 1 starts none. Or an executor.
        advance: called for every group that is done.
        largest_first: whether the first groups may take as long as all others together; groups
            are then handed out one by one.

    Raises:
        RunError: a process died.
    """
    answers: list[_Answer] = []
    if isinstance(workers, Executor):
        # On a cluster every task costs some milliseconds, however small it is.
        alone = _MIN_TASKS if largest_first else 0
        size = max(1, len(groups) // _MIN_TASKS)
    elif workers <= 1 or len(groups) < 2:
        for group in groups:
            answers.append(function(group))
            advance()
        return answers
    else:
        alone = 4 * workers if largest_first else 0
        size = max(1, len(groups) // (8 * workers))
    tasks = [groups[i : i + 1] for i in range(min(alone, len(groups)))]
    tasks += [groups[i : i + size] for i in range(alone, len(groups), size)]
    make_function = partial(partial, partial(_apply_to_each, function))
    for some in run_in_order(make_function, tasks, workers):
        answers += some
        for _ in some:
            advance()
    return answers


def _apply_to_each(
    function: Callable[[_Group], _Answer], groups: Sequence[_Group]
) -> list[_Answer]:
    return [function(group) for group in groups]
