"""Lookahead for a formula: each element's number of atoms is a sum of orbit sizes.

Positions with a free coordinate hold any number of orbits. Points hold one each; a size that only
points have is scarce, and the elements compete for it. So whether a formula can be written depends
on how many points of each scarce size every element takes, and all combinations are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.fields import END
from crystext.grammar.wyckoff.site_table import SiteTable, site_table
from crystext.structures.distances import Bools


class FormulaState(NamedTuple):
    """The part of a formula that is written."""

    space_group: int
    occupied: int = 0
    """Points that hold an orbit, see `SiteTable`."""
    element_index: int = 0
    """Index of the current element of the formula, from 0 in the order of texts."""
    atoms: int = 0
    """Atoms of that element so far."""
    units: int = 0
    """Number of formula units, if the elements before determine it; otherwise 0."""


class FormulaLookahead:
    """Which elements and positions lead to a requested whole number of formula units."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        counts = {ATOMIC_NUMBERS[symbol]: count for symbol, count in constraints.formula}
        self._elements = sorted(counts, key=lambda z: ELECTRONEGATIVITY_RANK[z])
        self._counts = tuple(counts[z] for z in self._elements)
        self._units = constraints.formula_units

    def start(self, space_group: int) -> FormulaState | None:
        """Return the state before the first orbit, or None where no crystal can follow."""
        state = FormulaState(space_group)
        return state if any(self._can_end(state, units) for units in self._units) else None

    def allowed_elements(self, state: FormulaState) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        allowed = np.zeros(len(ELECTRONEGATIVITY_RANK), dtype=np.bool_)
        for units in self._open_units(state):
            wanted = units * self._counts[state.element_index]
            if state.atoms < wanted:
                allowed[self._elements[state.element_index]] |= self._can_end(state, units)
            elif state.element_index + 1 == len(self._elements):
                allowed[END] |= state.atoms == wanted
            elif state.atoms == wanted:
                following = FormulaState(
                    state.space_group, state.occupied, state.element_index + 1, 0, units
                )
                allowed[self._elements[state.element_index + 1]] |= self._can_end(following, units)
        return allowed

    def begin_orbit(self, state: FormulaState, element: int) -> FormulaState:
        """Return the state after beginning an orbit of this element."""
        if element == self._elements[state.element_index]:
            return state
        units = state.atoms // self._counts[state.element_index]
        return FormulaState(state.space_group, state.occupied, state.element_index + 1, 0, units)

    def allowed_positions(self, begun: FormulaState) -> list[int]:
        """Return which positions the begun orbit may have."""
        known = site_table(begun.space_group).open_positions(begun.occupied)
        units = self._open_units(begun)
        return [
            p for p in known if any(self._can_end(self.place_orbit(begun, p), n) for n in units)
        ]

    def place_orbit(self, begun: FormulaState, position_index: int) -> FormulaState:
        """Return the state after placing the begun orbit at this position."""
        known = site_table(begun.space_group)
        taken, atoms = (
            known.occupy(begun.occupied, position_index),
            begun.atoms + known.orbit_sizes[position_index],
        )
        return begun._replace(occupied=taken, atoms=atoms)

    def _open_units(self, state: FormulaState) -> tuple[int, ...]:
        return (state.units,) if state.units else self._units

    def _can_end(self, state: FormulaState, units: int) -> bool:
        """Return whether this number of formula units can be reached from here."""
        known = site_table(state.space_group)
        needs = [units * count for count in self._counts[state.element_index :]]
        needs[0] -= state.atoms
        return needs[0] >= 0 and _can_fill(
            known, known.remaining_points(state.occupied), tuple(needs)
        )


@cache
def _can_fill(table: SiteTable, remaining: tuple[int, ...], needs: tuple[int, ...]) -> bool:
    """Return whether these positions can hold the needed atoms of each of several elements."""
    if not needs:
        return True
    return any(
        _can_fill(table, left, needs[1:]) for left in remaining_after(table, remaining, needs[0])
    )


def remaining_after(
    table: SiteTable, remaining: tuple[int, ...], atoms: int
) -> Iterator[tuple[int, ...]]:
    """Yield the possible remainders of scarce sizes after one element has all its atoms."""
    sums = _reachable_sums(table.unlimited_sizes, atoms)
    ranges = [
        range(min(left, atoms // size) + 1)
        for size, left in zip(table.limited_sizes, remaining, strict=True)
    ]
    for used in product(*ranges):
        rest = atoms - sum(n * size for n, size in zip(used, table.limited_sizes, strict=True))
        if rest >= 0 and sums[rest]:
            yield tuple(left - n for left, n in zip(remaining, used, strict=True))


@cache
def _reachable_sums(sizes: tuple[int, ...], atoms: int) -> tuple[bool, ...]:
    """Return which numbers from 0 to `atoms` are sums of these sizes, each any number of times."""
    reached = [True] + [False] * atoms
    for size in sizes:
        for n in range(size, atoms + 1):
            reached[n] |= reached[n - size]
    return tuple(reached)
