"""Lookahead for numbers of atoms of single elements, each within a range.

Elements come in the order of texts, so those before are done with: what remains are the ranges of
later elements, and the total. As for a formula, positions with a free coordinate hold any number of
orbits, and elements compete for the points; all numbers of atoms in the ranges are tried. Elements
without a range share one: they may take what is left over.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.composition import CompositionRules
from crystext.grammar.fields import END
from crystext.grammar.wyckoff.atom_count_lookahead import max_orbits
from crystext.grammar.wyckoff.formula_lookahead import remaining_after
from crystext.grammar.wyckoff.site_table import SiteTable, site_table
from crystext.structures.distances import Bools

_RANK = np.array(ELECTRONEGATIVITY_RANK)

_Needs = tuple[tuple[int, int], ...]
"""Fewest and most atoms that each of several elements still gets."""


class ElementCountState(NamedTuple):
    """The part of an unfinished crystal's state that affects what may follow."""

    space_group: int
    occupied: int = 0
    """Points that hold an orbit, see `SiteTable`."""
    atoms: int = 0
    """In the primitive cell."""
    element: int = 0
    """The element of the last orbit, begun or finished; 0 before the first."""
    element_atoms: int = 0
    """Atoms of that element so far."""


class ElementCountLookahead:
    """Which elements and positions lead to the requested numbers of atoms of each element."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        self._min_atoms, self._max_atoms = constraints.min_atoms, constraints.max_atoms
        composition = CompositionRules(constraints)
        self._fewest, self._most = composition.fewest, composition.most
        self._permitted = composition.permitted
        bounded = (self._fewest > 0) | (self._permitted & (self._most < self._max_atoms))
        bounded[END] = False
        self._bounded = sorted(np.flatnonzero(bounded).tolist(), key=lambda z: int(_RANK[z]))
        self._highest_free = max(
            (int(_RANK[z]) for z in np.flatnonzero(self._permitted & ~bounded) if z != END),
            default=-1,
        )
        """Rank of the last element without a range."""
        self._cache: dict[ElementCountState, list[bool]] = {}

    def start(self, space_group: int) -> ElementCountState | None:
        """Return the state before the first orbit, or None where no crystal can follow."""
        state = ElementCountState(space_group)
        return state if self._can_end(state) else None

    def allowed_elements(self, state: ElementCountState) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        allowed = np.zeros(len(_RANK), dtype=np.bool_)
        complete = self._is_complete(state, len(_RANK))
        allowed[END] = complete and 0 < self._min_atoms <= state.atoms
        for element in np.flatnonzero(self._permitted[1:]).tolist():
            allowed[element + 1] = self._may_begin(state, element + 1)
        return allowed

    def begin_orbit(self, state: ElementCountState, element: int) -> ElementCountState:
        """Return the state after beginning an orbit of this element."""
        if element == state.element:
            return state
        return state._replace(element=element, element_atoms=0)

    def allowed_positions(self, begun: ElementCountState) -> list[int]:
        """Return which positions the begun orbit may have."""
        known = site_table(begun.space_group).open_positions(begun.occupied)
        return [p for p, fits in zip(known, self._can_end_after(begun), strict=True) if fits]

    def place_orbit(self, begun: ElementCountState, position_index: int) -> ElementCountState:
        """Return the state after placing the begun orbit at this position."""
        known = site_table(begun.space_group)
        size = known.orbit_sizes[position_index]
        return begun._replace(
            occupied=known.occupy(begun.occupied, position_index),
            atoms=begun.atoms + size,
            element_atoms=begun.element_atoms + size,
        )

    def _may_begin(self, state: ElementCountState, element: int) -> bool:
        if _RANK[element] < _RANK[state.element]:
            return False
        if element != state.element and not self._is_complete(state, int(_RANK[element])):
            return False
        return any(self._can_end_after(self.begin_orbit(state, element)))

    def _is_complete(self, state: ElementCountState, rank: int) -> bool:
        """Return whether all elements before a rank have as many atoms as they need."""
        first = int(_RANK[state.element])
        if state.element and state.element_atoms < self._fewest[state.element]:
            return False
        return all(self._fewest[z] == 0 for z in self._bounded if first < int(_RANK[z]) < rank)

    def _can_end_after(self, begun: ElementCountState) -> list[bool]:
        """Return for each open position whether the request stays feasible with an orbit there."""
        if begun not in self._cache:
            known = site_table(begun.space_group).open_positions(begun.occupied)
            self._cache[begun] = [self._can_end(self.place_orbit(begun, place)) for place in known]
        return self._cache[begun]

    def _can_end(self, state: ElementCountState) -> bool:
        rank = int(_RANK[state.element])
        needs = [
            (int(self._fewest[z]), int(self._most[z])) for z in self._bounded if _RANK[z] > rank
        ]
        if state.element in self._bounded:
            most = int(self._most[state.element]) - state.element_atoms
            if most < 0:
                return False
            needs.insert(0, (max(0, int(self._fewest[state.element]) - state.element_atoms), most))
        low, high = max(0, self._min_atoms - state.atoms), self._max_atoms - state.atoms
        known = site_table(state.space_group)
        return high >= 0 and _can_fill(
            known,
            known.remaining_points(state.occupied),
            tuple(sorted(needs, reverse=True)),
            self._highest_free >= rank,
            (low, high),
        )


@cache
def _can_fill(
    table: SiteTable, remaining: tuple[int, ...], needs: _Needs, free: bool, total: tuple[int, int]
) -> bool:
    """Return whether these positions can hold the atoms that are needed.

    Args:
        table: positions of the space group.
        remaining: points of each scarce size that are free.
        needs: of elements with a range.
        free: whether there are elements without one.
        total: fewest and most atoms of all.
    """
    low, high = total
    if sum(fewest for fewest, _ in needs) > high:
        return False
    if not needs:
        if low <= 0:
            return True
        if not free:
            return False
        most = max_orbits(table.unlimited_sizes, table.limited_sizes, remaining, high)
        return any(count >= 0 for count in most[low:])
    (fewest, largest), *rest = needs
    return any(
        _can_fill(table, left, tuple(rest), free, (max(0, low - atoms), high - atoms))
        for atoms in range(fewest, min(largest, high) + 1)
        for left in remaining_after(table, remaining, atoms)
    )
