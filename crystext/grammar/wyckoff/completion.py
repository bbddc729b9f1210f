"""Which orbit may come next in a crystal of which some orbits are known.

A `Gap` is a part of the crystal that the orbits have to cover: a known orbit, one with an unknown
element, or atoms without a position, whose orbits are to be found. A text lists the orbits by
electronegativity, as texts of training do. After every allowed choice the remaining gaps can be
filled exactly: positions without free coordinates hold one orbit each, and orbits have the sizes of
their positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.grammar.wyckoff.site_table import SiteTable, site_table
from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools
from crystext.structures.wyckoff.orbits import Orbit
from crystext.structures.wyckoff.setting import GroupSetting, OrbitMap

PIN_TOLERANCE = 6e-4
"""Fractional; a coordinate of three decimals may miss a known one by this."""


@dataclass(frozen=True, eq=False)
class Gap:
    """A part of the crystal that orbits have to cover."""

    elements: tuple[int, ...]
    """Atomic numbers that it may hold; one if its element is known."""
    atoms: int | None = None
    """Atoms in a primitive cell; None for one orbit of any size."""
    orbit: Orbit | None = None
    """Where it is; its element only counts where `elements` has just one. None if not known."""
    pins: tuple[Floats, ...] = ()
    """Sites of which some coordinates are known, in the file's cell; nan for the others. Each orbit
    has to hold at least one of them."""
    single: bool = False
    """Whether one orbit fills it."""
    same_element: int = -1
    """Gaps with the same number, from 0, hold the same element."""
    position_index: int | None = None
    """The position of its only orbit; None if it is open."""
    source: int | None = None
    """Index of the gap that it is a part of; None if it is whole."""


class Placement(NamedTuple):
    """An orbit that a text has placed."""

    gap: int
    """Index of the gap that it fills, before its positions were fixed (`assignments`)."""
    orbit: Orbit


class FillState(NamedTuple):
    """How far a text is."""

    left: tuple[int, ...]
    """Atoms that each gap still needs; -1 for one orbit of any size."""
    occupied: int
    """Positions without free coordinates that hold an orbit; see `SiteTable`."""
    rank: int
    """Electronegativity rank of the last orbit."""
    elements: tuple[int, ...]
    """Elements chosen for each `same_element` number; 0 if not yet."""
    spare: int
    """Atoms that may still be in orbits of any size."""


@dataclass(frozen=True, eq=False)
class OrbitGaps:
    """All gaps of a crystal, in its setting."""

    setting: GroupSetting
    gaps: tuple[Gap, ...]
    max_atoms: int
    """Maximum number of atoms in a primitive cell."""

    @cached_property
    def table(self) -> SiteTable:
        """The positions of the space group."""
        return site_table(self.setting.number)

    @cached_property
    def maps(self) -> tuple[OrbitMap, ...]:
        """The sites of each position in the file's cell."""
        return tuple(self.setting.orbit_map(position) for position in self.table.positions)

    def start(self) -> FillState:
        """Return the state before the first orbit: points of known orbits are occupied."""
        occupied = 0
        for gap in self.gaps:
            if gap.orbit is not None:
                occupied = self.table.occupy(occupied, self.index_of(gap.orbit))
        left = tuple(-1 if gap.atoms is None else gap.atoms for gap in self.gaps)
        shared = 1 + max((gap.same_element for gap in self.gaps), default=-1)
        spare = self.max_atoms - sum(gap.atoms or 0 for gap in self.gaps)
        return FillState(left, occupied, -1, (0,) * shared, spare)

    def index_of(self, orbit: Orbit) -> int:
        """Return the index of an orbit's position in the table."""
        return self.table.positions.index(orbit.position)

    @cached_property
    def is_fillable(self) -> bool:
        """Whether some orbits fill all gaps."""
        return self._can_fill(self.start())

    def choices(self, state: FillState) -> dict[int, list[int]]:
        """Return which elements the next orbit may have, and the gaps that it may fill with each.

        Empty once all gaps are filled.
        """
        found: dict[int, list[int]] = {}
        latest = min(
            (max(map(_rank, self._elements(state, i))) for i in self._open(state)), default=0
        )
        for i in self._open(state):
            fitting = [z for z in self._elements(state, i) if state.rank <= _rank(z) <= latest]
            # Which positions are open is the same for all elements.
            if fitting and self.positions(state, i, fitting[0]):
                for z in fitting:
                    found.setdefault(z, []).append(i)
        # Known orbits of an element come before those to be found.
        for gaps in found.values():
            gaps.sort(key=lambda i: (self.gaps[i].orbit is None, i))
        return found

    def positions(self, state: FillState, gap: int, element: int) -> list[int]:
        """Return the positions that an orbit of an element may take to fill a gap."""
        wanted, left = self.gaps[gap], state.left[gap]
        if wanted.orbit is not None:
            return [self.index_of(wanted.orbit)]
        found = []
        for i in self.table.open_positions(state.occupied):
            size = self.table.orbit_sizes[i]
            if wanted.position_index not in (None, i):
                continue
            if left >= 0 and (size > left or (wanted.single and size != left)):
                continue
            if wanted.pins and not self._holds_a_pin(wanted, i):
                continue
            if self._can_fill(self.place(state, gap, element, i)):
                found.append(i)
        return found

    def place(self, state: FillState, gap: int, element: int, position: int) -> FillState:
        """Return the state after an orbit is placed."""
        left, spare = list(state.left), state.spare
        size = self.table.orbit_sizes[position]
        if left[gap] < 0:
            spare -= size
        left[gap] = max(left[gap] - size, 0)
        chosen = list(state.elements)
        if (shared := self.gaps[gap].same_element) >= 0:
            chosen[shared] = element
        occupied = self.table.occupy(state.occupied, position)
        return FillState(tuple(left), occupied, _rank(element), tuple(chosen), spare)

    def pinned(self, gap: Gap, position: int, chosen: list[float], values: Floats) -> Bools:
        """Return which values of the next free coordinate leave some pin of a gap in the orbit."""
        if not gap.pins:
            return np.ones(len(values), dtype=np.bool_)
        found: Bools = np.zeros(len(values), dtype=np.bool_)
        matrices, offsets = self.maps[position]
        column = len(chosen)
        base = offsets + matrices[:, :, :column] @ np.array(chosen)
        there = base[None] + values[:, None, None] * matrices[:, :, column]
        later = np.abs(matrices[:, :, column + 1 :]).sum(axis=2) > 1e-9
        slope = np.abs(matrices[:, :, : column + 1]).sum(axis=2)
        for pin in gap.pins:
            away = there - pin
            away -= np.rint(away)
            open_ = np.isnan(pin) | later
            found |= (
                (open_ | (np.abs(away) <= PIN_TOLERANCE * np.maximum(slope, 0.1)))
                .all(axis=2)
                .any(axis=1)
            )
        return found

    def assignments(self, limit: int) -> list[OrbitGaps]:
        """Return the gaps with the positions of all orbits fixed, one for each way to do so.

        Args:
            limit: maximum number; the first found are returned.
        """
        found: list[OrbitGaps] = []
        open_ = [i for i, gap in enumerate(self.gaps) if gap.orbit is None and gap.atoms != 0]
        for chosen in self._ways(self.start(), open_, 0):
            gaps = [
                replace(gap, source=i) for i, gap in enumerate(self.gaps) if gap.orbit is not None
            ]
            for i, position in chosen:
                was = self.gaps[i]
                size = self.table.orbit_sizes[position]
                gaps.append(
                    replace(was, atoms=size, single=True, position_index=position, source=i)
                )
            found.append(OrbitGaps(self.setting, tuple(gaps), self.max_atoms))
            if len(found) == limit:
                break
        return found

    @cached_property
    def undecided(self) -> tuple[int, ...]:
        """Gaps of which the element is open, one of those that hold the same element."""
        first: dict[int, int] = {}
        for i, gap in enumerate(self.gaps):
            if len(gap.elements) > 1:
                first.setdefault(gap.same_element if gap.same_element >= 0 else -2 - i, i)
        return tuple(first.values())

    def with_elements(self, index: int, elements: tuple[int, ...]) -> OrbitGaps:
        """Return the gaps with fewer elements in one of them, and in those that hold the same."""
        group = self.gaps[index].same_element

        def narrowed(i: int, gap: Gap) -> Gap:
            if i != index and (group < 0 or gap.same_element != group):
                return gap
            orbit = gap.orbit and gap.orbit._replace(atomic_number=elements[0])
            return replace(gap, elements=elements, orbit=orbit)

        gaps = tuple(narrowed(i, gap) for i, gap in enumerate(self.gaps))
        return OrbitGaps(self.setting, gaps, self.max_atoms)

    def _ways(
        self, state: FillState, open_: list[int], first: int
    ) -> Iterator[tuple[tuple[int, int], ...]]:
        """Yield the positions that fill the open gaps, those of one gap in increasing order."""
        if not open_:
            yield ()
            return
        gap = open_[0]
        # The element does not matter for the positions; the state's rank is not used here.
        element = self._elements(state, gap)[0]
        for i in self.positions(state, gap, element):
            if i < first:
                continue
            after = self.place(state, gap, element, i)
            done = after.left[gap] == 0
            for rest in self._ways(after, open_[1:] if done else open_, 0 if done else i):
                yield ((gap, i), *rest)

    def _open(self, state: FillState) -> list[int]:
        return [i for i, left in enumerate(state.left) if left]

    def _elements(self, state: FillState, gap: int) -> tuple[int, ...]:
        """Return the elements that a gap may still hold."""
        shared = self.gaps[gap].same_element
        if shared >= 0 and state.elements[shared]:
            return (state.elements[shared],)
        later = tuple(z for z in self.gaps[gap].elements if _rank(z) >= state.rank)
        return later or self.gaps[gap].elements

    def _holds_a_pin(self, gap: Gap, position: int) -> bool:
        """Return whether some values of an orbit's coordinates hold a pin of a gap."""
        matrices, offsets = self.maps[position]
        fixed = np.abs(matrices).sum(axis=2) < 1e-9
        for pin in gap.pins:
            away = offsets - pin
            away -= np.rint(away)
            fits = np.isnan(pin) | ~fixed | (np.abs(away) <= PIN_TOLERANCE)
            if fits.all(axis=1).any():
                return True
        return False

    def _can_fill(self, state: FillState) -> bool:
        """Return whether orbits can fill the gaps without a position."""
        counts: list[int] = []
        singles: list[int] = []
        any_size = 0
        for gap, left in zip(self.gaps, state.left, strict=True):
            if gap.orbit is not None or left == 0:
                continue
            if left < 0:
                any_size += 1
            elif gap.single:
                singles.append(left)
            else:
                counts.append(left)
        points = self.table.remaining_points(state.occupied)
        return (not any_size or state.spare >= any_size) and _can_cover(
            self.setting.number, tuple(sorted(counts)), tuple(sorted(singles)), points
        )


@lru_cache(maxsize=65536)
def _can_cover(
    space_group: int, counts: tuple[int, ...], singles: tuple[int, ...], points: tuple[int, ...]
) -> bool:
    """Return whether orbits of a group's sizes can make up these numbers of atoms.

    Args:
        space_group: of the orbits.
        counts: numbers of atoms, each made up of any number of orbits.
        singles: numbers of atoms, each of one orbit.
        points: how many points of each size that only points have are free.
    """
    table = site_table(space_group)
    if singles:
        size, rest = singles[0], singles[1:]
        if size in table.unlimited_sizes:
            return _can_cover(space_group, counts, rest, points)
        if size not in table.limited_sizes or not points[table.limited_sizes.index(size)]:
            return False
        return _can_cover(
            space_group, counts, rest, _without(points, table.limited_sizes.index(size))
        )
    if not counts:
        return True
    left, others = counts[0], counts[1:]
    if left == 0:
        return _can_cover(space_group, others, (), points)
    for size in table.unlimited_sizes:
        if size <= left and _can_cover(space_group, (left - size, *others), (), points):
            return True
    return any(
        free
        and size <= left
        and _can_cover(space_group, (left - size, *others), (), _without(points, i))
        for i, (size, free) in enumerate(zip(table.limited_sizes, points, strict=True))
    )


def _without(points: tuple[int, ...], index: int) -> tuple[int, ...]:
    return (*points[:index], points[index] - 1, *points[index + 1 :])


def _rank(number: int) -> int:
    return ELECTRONEGATIVITY_RANK[number]
