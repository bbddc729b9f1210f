"""Looking ahead where no formula is asked for: elements, and how many atoms.

What matters of the orbits to come is how many there must be at least, one for each element that has
to occur and does not yet, and the number of atoms that they make together.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.conditions.constraints import Constraints
from crystext.grammar.composition import Composition
from crystext.grammar.fields import END
from crystext.grammar.wyckoff.site_table import places
from crystext.structures.distances import Bools

_RANK = np.array(ELECTRONEGATIVITY_RANK)
_NEVER = -1


class Counted(NamedTuple):
    """What was written of a crystal, as far as it bears on what may follow."""

    space_group: int
    taken: int = 0
    """Points that hold an orbit, see `Places`."""
    atoms: int = 0
    """In the primitive cell."""
    missing: int = 0
    """How many of the required elements are still to come: the last ones, as they come in order."""
    last: int = 0
    """The element of the last orbit, be it begun or finished; 0 before the first."""


class CountLookAhead:
    """Which elements and positions lead to a number of atoms and elements that was asked for."""

    def __init__(self, constraints: Constraints) -> None:
        """Look up what is asked for."""
        self._fewest, self._most = constraints.min_atoms, constraints.max_atoms
        composition = Composition(constraints)
        self._required, self._permitted = composition.required, composition.permitted
        self._known: dict[Counted, list[bool]] = {}

    def start(self, space_group: int) -> Counted | None:
        """Return the state before the first orbit, or None where no crystal can follow."""
        state = Counted(space_group, missing=len(self._required))
        return state if self._can_end(state, at_least=1) else None

    def elements(self, state: Counted) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        allowed = np.zeros(len(_RANK), dtype=np.bool_)
        allowed[END] = state.missing == 0 and 0 < self._fewest <= state.atoms
        earliest = _RANK[state.last]
        if any(self._after(state)):
            allowed[1:] = self._permitted[1:] & (_RANK[1:] >= earliest)
            if state.missing:
                allowed[1:] &= _RANK[1:] < _RANK[self._next(state)]
        if state.missing:
            element = self._next(state)
            allowed[element] = any(self._after(self.begin(state, element)))
        return allowed

    def begin(self, state: Counted, element: int) -> Counted:
        """Return the state in which an orbit of this element is begun."""
        met = state.missing > 0 and element == self._next(state)
        return state._replace(last=element, missing=state.missing - met)

    def positions(self, begun: Counted) -> list[int]:
        """Return which positions the orbit that is begun may have."""
        known = places(begun.space_group).open_places(begun.taken)
        return [p for p, fits in zip(known, self._after(begun), strict=True) if fits]

    def put(self, begun: Counted, place: int) -> Counted:
        """Return the state in which the orbit that was begun has this position."""
        known = places(begun.space_group)
        taken, atoms = known.take(begun.taken, place), begun.atoms + known.sizes[place]
        return begun._replace(taken=taken, atoms=atoms)

    def _next(self, state: Counted) -> int:
        return int(self._required[len(self._required) - state.missing])

    def _after(self, begun: Counted) -> list[bool]:
        """Tell for each open position whether an orbit there leaves a way to the end."""
        key = begun._replace(last=0)
        if key not in self._known:
            known = places(begun.space_group).open_places(begun.taken)
            self._known[key] = [self._can_end(self.put(begun, place)) for place in known]
        return self._known[key]

    def _can_end(self, state: Counted, at_least: int = 0) -> bool:
        known = places(state.space_group)
        orbits = max(state.missing, at_least)
        low, high = max(0, self._fewest - state.atoms), self._most - state.atoms
        if high < 0:
            return False
        most = _most_orbits(known.free_sizes, known.scarce_sizes, known.stock(state.taken), high)
        return any(count >= orbits for count in most[low:])


@cache
def _most_orbits(
    free: tuple[int, ...], scarce: tuple[int, ...], stock: tuple[int, ...], atoms: int
) -> tuple[int, ...]:
    """Return how many orbits, at the most, make each number of atoms from 0 on; -1 where none do.

    Args:
        free: sizes of which there are any number.
        scarce: sizes of which there are so many as `stock` says.
        stock: of each.
        atoms: the last number.
    """
    most = [0] + [_NEVER] * atoms
    for size, count in zip(scarce, stock, strict=True):
        for _ in range(count):
            for n in range(atoms, size - 1, -1):
                if most[n - size] != _NEVER:
                    most[n] = max(most[n], most[n - size] + 1)
    for size in free:
        for n in range(size, atoms + 1):
            if most[n - size] != _NEVER:
                most[n] = max(most[n], most[n - size] + 1)
    return tuple(most)
