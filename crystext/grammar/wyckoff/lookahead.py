"""Which space group, elements and positions lead to a crystal that is as asked for: exactly those.

Whatever is chosen of what is allowed, something is allowed behind it, until the atoms are as asked
for. The answers are kept: crystals of a campaign pass through the same states again and again.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from crystext.conditions.constraints import Constraints
from crystext.grammar.wyckoff.count_lookahead import Counted, CountLookAhead
from crystext.grammar.wyckoff.formula_lookahead import Filled, FormulaLookAhead
from crystext.grammar.wyckoff.site_table import places
from crystext.structures.distances import Bools
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.positions import GROUPS
from crystext.tokenization.crystal_vocabulary import position_names

Progress: TypeAlias = Counted | Filled
"""What was written of a crystal's atoms, as far as it bears on what may follow."""


class LookAhead:
    """What the constraints leave of the choices, for all crystals of a request."""

    def __init__(self, constraints: Constraints) -> None:
        """Look up what is asked for."""
        self.constraints = constraints
        # Either takes the states that it made itself, and no others reach it.
        self._ahead: CountLookAhead | FormulaLookAhead = (
            FormulaLookAhead(constraints) if constraints.formula else CountLookAhead(constraints)
        )
        self._elements: dict[Progress, Bools] = {}
        self._positions: dict[Progress, Bools] = {}

    @cached_property
    def groups(self) -> Bools:
        """The space groups in which a crystal can be written, by number: shape (231,)."""
        allowed = np.zeros(GROUPS + 1, dtype=np.bool_)
        for group in range(1, GROUPS + 1):
            allowed[group] = self._is_asked_for(group) and self._ahead.start(group) is not None
        return allowed

    def start(self, space_group: int) -> Progress:
        """Return the state before the first orbit, in one of `groups`."""
        state = self._ahead.start(space_group)
        assert state is not None, f"no crystal as asked for has space group {space_group}"
        return state

    def elements(self, state: Progress) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        if state not in self._elements:
            self._elements[state] = self._ahead.elements(state)  # type: ignore[arg-type]
        return self._elements[state]

    def begin(self, state: Progress, element: int) -> Progress:
        """Return the state in which an orbit of this element is begun."""
        return self._ahead.begin(state, element)  # type: ignore[arg-type]

    def positions(self, begun: Progress) -> Bools:
        """Return which positions the orbit that is begun may have, by their names.

        Shape (names in `vocabulary.position_names`,).
        """
        if begun not in self._positions:
            allowed = np.zeros(len(position_names()), dtype=np.bool_)
            names = places(begun.space_group).names
            fitting = self._ahead.positions(begun)  # type: ignore[arg-type]
            allowed[[names[place] for place in fitting]] = True
            self._positions[begun] = allowed
        return self._positions[begun]

    def put(self, begun: Progress, place: int) -> Progress:
        """Return the state in which the orbit that was begun has this position."""
        return self._ahead.put(begun, place)  # type: ignore[arg-type]

    def _is_asked_for(self, group: int) -> bool:
        asked = self.constraints
        if asked.space_group is not None and asked.space_group != group:
            return False
        return asked.crystal_system in (None, crystal_system(group))


@lru_cache(maxsize=64)
def look_ahead(constraints: Constraints) -> LookAhead:
    """Return what looks ahead for these constraints; requests that are alike share one."""
    return LookAhead(constraints)
