"""Exactly which space groups, elements and positions lead to a crystal that fits the request.

After every allowed choice some choice is allowed, until the atoms are as requested. Results are
cached: the crystals of a sampling run pass through the same states again and again.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.wyckoff.atom_count_lookahead import CountLookahead, CountState
from crystext.grammar.wyckoff.element_count_lookahead import (
    ElementCountLookahead,
    ElementCountState,
)
from crystext.grammar.wyckoff.formula_lookahead import FormulaLookahead, FormulaState
from crystext.grammar.wyckoff.site_table import site_table
from crystext.structures.distances import Bools
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS
from crystext.tokenization.crystal_vocabulary import position_names

LookaheadState: TypeAlias = CountState | ElementCountState | FormulaState
"""The part of an unfinished crystal's state that affects what may follow."""


class Lookahead:
    """The choices that the constraints allow, for all crystals of a request."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        self.constraints = constraints
        # Each only receives the states that it made itself.
        self._rules = _rules_for(constraints)
        self._elements_cache: dict[LookaheadState, Bools] = {}
        self._positions_cache: dict[LookaheadState, Bools] = {}

    @cached_property
    def space_groups(self) -> Bools:
        """The space groups in which a crystal can be written, by number: shape (231,)."""
        allowed = np.zeros(N_SPACE_GROUPS + 1, dtype=np.bool_)
        for group in range(1, N_SPACE_GROUPS + 1):
            allowed[group] = self._is_requested(group) and self._rules.start(group) is not None
        return allowed

    def start(self, space_group: int) -> LookaheadState:
        """Return the state before the first orbit, in one of `space_groups`."""
        state = self._rules.start(space_group)
        assert state is not None, f"no requested crystal has space group {space_group}"
        return state

    def allowed_elements(self, state: LookaheadState) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        if state not in self._elements_cache:
            self._elements_cache[state] = self._rules.allowed_elements(state)  # type: ignore[arg-type]
        return self._elements_cache[state]

    def begin_orbit(self, state: LookaheadState, element: int) -> LookaheadState:
        """Return the state after beginning an orbit of this element."""
        return self._rules.begin_orbit(state, element)  # type: ignore[arg-type]

    def allowed_positions(self, begun: LookaheadState) -> Bools:
        """Return which positions the begun orbit may have, by name.

        Shape (names in `crystal_vocabulary.position_names`,).
        """
        if begun not in self._positions_cache:
            allowed = np.zeros(len(position_names()), dtype=np.bool_)
            names = site_table(begun.space_group).name_indices
            fitting = self._rules.allowed_positions(begun)  # type: ignore[arg-type]
            allowed[[names[place] for place in fitting]] = True
            self._positions_cache[begun] = allowed
        return self._positions_cache[begun]

    def place_orbit(self, begun: LookaheadState, position_index: int) -> LookaheadState:
        """Return the state after placing the begun orbit at this position."""
        return self._rules.place_orbit(begun, position_index)  # type: ignore[arg-type]

    def _is_requested(self, group: int) -> bool:
        asked = self.constraints
        if asked.space_group is not None and asked.space_group != group:
            return False
        return asked.crystal_system in (None, crystal_system(group))


def _rules_for(
    constraints: Constraints,
) -> CountLookahead | ElementCountLookahead | FormulaLookahead:
    if constraints.formula_elements:
        return FormulaLookahead(constraints)
    if constraints.counts:
        return ElementCountLookahead(constraints)
    return CountLookahead(constraints)


@lru_cache(maxsize=64)
def lookahead_for(constraints: Constraints) -> Lookahead:
    """Return the lookahead for these constraints; equal requests share one."""
    return Lookahead(constraints)
