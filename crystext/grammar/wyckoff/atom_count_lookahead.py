"""Lookahead without a formula: required elements and the number of atoms.

Of the remaining orbits two things matter: their minimum number, one for each required element that
does not occur yet, and the number of atoms that they add together.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.composition import CompositionRules
from crystext.grammar.fields import END
from crystext.grammar.wyckoff.site_table import site_table
from crystext.structures.distances import Bools

_RANK = np.array(ELECTRONEGATIVITY_RANK)
_IMPOSSIBLE = -1


class CountState(NamedTuple):
    """The part of an unfinished crystal's state that affects what may follow."""

    space_group: int
    occupied: int = 0
    """Points that hold an orbit, see `SiteTable`."""
    atoms: int = 0
    """In the primitive cell."""
    missing: int = 0
    """Number of required elements still missing: the last ones, as they come in order."""
    last_element: int = 0
    """The element of the last orbit, begun or finished; 0 before the first."""


class CountLookahead:
    """Which elements and positions lead to the requested elements and number of atoms."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        self._min_atoms, self._max_atoms = constraints.min_atoms, constraints.max_atoms
        composition = CompositionRules(constraints)
        self._required, self._permitted = composition.required, composition.permitted
        self._cache: dict[CountState, list[bool]] = {}
        self._elements_cache: dict[tuple[bool, bool, bool, int, int], Bools] = {}

    def start(self, space_group: int) -> CountState | None:
        """Return the state before the first orbit, or None where no crystal can follow."""
        state = CountState(space_group, missing=len(self._required))
        return state if self._can_end(state, at_least=1) else None

    def allowed_elements(self, state: CountState) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        ends = state.missing == 0 and 0 < self._min_atoms <= state.atoms
        begins = any(self._can_end_after(state))
        requires = False
        if state.missing:
            begun = self.begin_orbit(state, self._next_required(state))
            requires = any(self._can_end_after(begun))
        # Many states have the same elements.
        key = ends, begins, requires, state.missing, state.last_element
        if key not in self._elements_cache:
            self._elements_cache[key] = self._elements(state, ends, begins, requires)
        return self._elements_cache[key]

    def _elements(self, state: CountState, ends: bool, begins: bool, requires: bool) -> Bools:
        """Return which elements may come next.

        Args:
            state: before the next orbit.
            ends: whether the orbits may end.
            begins: whether an orbit of an element that is not required may come next.
            requires: whether one of the next required element may.
        """
        allowed = np.zeros(len(_RANK), dtype=np.bool_)
        allowed[END] = ends
        if begins:
            allowed[1:] = self._permitted[1:] & (_RANK[1:] >= _RANK[state.last_element])
            if state.missing:
                allowed[1:] &= _RANK[1:] < _RANK[self._next_required(state)]
        if state.missing:
            allowed[self._next_required(state)] = requires
        return allowed

    def begin_orbit(self, state: CountState, element: int) -> CountState:
        """Return the state after beginning an orbit of this element."""
        met = state.missing > 0 and element == self._next_required(state)
        return state._replace(last_element=element, missing=state.missing - met)

    def allowed_positions(self, begun: CountState) -> list[int]:
        """Return which positions the begun orbit may have."""
        known = site_table(begun.space_group).open_positions(begun.occupied)
        return [p for p, fits in zip(known, self._can_end_after(begun), strict=True) if fits]

    def place_orbit(self, begun: CountState, position_index: int) -> CountState:
        """Return the state after placing the begun orbit at this position."""
        known = site_table(begun.space_group)
        taken, atoms = (
            known.occupy(begun.occupied, position_index),
            begun.atoms + known.orbit_sizes[position_index],
        )
        return begun._replace(occupied=taken, atoms=atoms)

    def _next_required(self, state: CountState) -> int:
        return int(self._required[len(self._required) - state.missing])

    def _can_end_after(self, begun: CountState) -> list[bool]:
        """Return for each open position whether the request stays feasible with an orbit there."""
        key = begun._replace(last_element=0)
        if key not in self._cache:
            known = site_table(begun.space_group).open_positions(begun.occupied)
            self._cache[key] = [self._can_end(self.place_orbit(begun, place)) for place in known]
        return self._cache[key]

    def _can_end(self, state: CountState, at_least: int = 0) -> bool:
        known = site_table(state.space_group)
        orbits = max(state.missing, at_least)
        low, high = max(0, self._min_atoms - state.atoms), self._max_atoms - state.atoms
        if high < 0:
            return False
        most = max_orbits(
            known.unlimited_sizes, known.limited_sizes, known.remaining_points(state.occupied), high
        )
        return max(most[low:], default=_IMPOSSIBLE) >= orbits


@cache
def max_orbits(
    unlimited: tuple[int, ...], limited: tuple[int, ...], remaining: tuple[int, ...], atoms: int
) -> tuple[int, ...]:
    """Return the greatest number of orbits that make each number of atoms from 0; -1 if none do.

    Args:
        unlimited: orbit sizes that can occur any number of times.
        limited: orbit sizes that can occur at most `remaining` times.
        remaining: for each limited size.
        atoms: the largest number of atoms.
    """
    most = [0] + [_IMPOSSIBLE] * atoms
    for size, count in zip(limited, remaining, strict=True):
        for _ in range(count):
            for n in range(atoms, size - 1, -1):
                if most[n - size] != _IMPOSSIBLE:
                    most[n] = max(most[n], most[n - size] + 1)
    for size in unlimited:
        for n in range(size, atoms + 1):
            if most[n - size] != _IMPOSSIBLE:
                most[n] = max(most[n], most[n - size] + 1)
    return tuple(most)
