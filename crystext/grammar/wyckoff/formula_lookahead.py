"""Lookahead for formulas: each element's number of atoms is a sum of orbit sizes.

A request allows one or several formulas of the whole cell, such as those of all numbers of formula
units, or all in which charges balance. Positions with a free coordinate hold any number of orbits.
Points hold one each; a size that only points have is scarce, and the elements compete for it. So
whether a formula can be written depends on how many points of each scarce size every element takes,
and all combinations are tried.
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
    counts: tuple[int, ...] = ()
    """Atoms of each element so far, in the order of texts; the last element is the current one."""


class FormulaLookahead:
    """Which elements and positions lead to one of the requested formulas."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        symbols = constraints.formula_elements
        order = sorted(range(len(symbols)), key=lambda i: _rank(symbols[i]))
        self._elements = [ATOMIC_NUMBERS[symbols[i]] for i in order]
        self._formulas = tuple(
            tuple(counts[i] for i in order) for counts in constraints.cell_formulas
        )

    def start(self, space_group: int) -> FormulaState | None:
        """Return the state before the first orbit, or None where no crystal can follow."""
        state = FormulaState(space_group)
        return state if self._can_end(state) else None

    def allowed_elements(self, state: FormulaState) -> Bools:
        """Return which elements may come next, at index 0 whether the orbits may end: (119,)."""
        allowed = np.zeros(len(ELECTRONEGATIVITY_RANK), dtype=np.bool_)
        done = len(state.counts)
        for formula in self._open_formulas(state):
            if done and state.counts[-1] < formula[done - 1]:
                following = self._elements[done - 1]
            else:
                following = self._elements[done] if done < len(formula) else END
            if not allowed[following]:
                allowed[following] = _can_reach(state, formula)
        return allowed

    def begin_orbit(self, state: FormulaState, element: int) -> FormulaState:
        """Return the state after beginning an orbit of this element."""
        if state.counts and element == self._elements[len(state.counts) - 1]:
            return state
        return state._replace(counts=(*state.counts, 0))

    def allowed_positions(self, begun: FormulaState) -> list[int]:
        """Return which positions the begun orbit may have."""
        known = site_table(begun.space_group).open_positions(begun.occupied)
        return [p for p in known if self._can_end(self.place_orbit(begun, p))]

    def place_orbit(self, begun: FormulaState, position_index: int) -> FormulaState:
        """Return the state after placing the begun orbit at this position."""
        known = site_table(begun.space_group)
        *finished, atoms = begun.counts
        return begun._replace(
            occupied=known.occupy(begun.occupied, position_index),
            counts=(*finished, atoms + known.orbit_sizes[position_index]),
        )

    def _open_formulas(self, state: FormulaState) -> Iterator[tuple[int, ...]]:
        """Yield the formulas that begin with the elements so far."""
        *finished, current = state.counts or (0,)
        place = len(finished)
        for formula in self._formulas:
            if formula[:place] == tuple(finished) and formula[place] >= current:
                yield formula

    def _can_end(self, state: FormulaState) -> bool:
        return any(_can_reach(state, formula) for formula in self._open_formulas(state))


def _can_reach(state: FormulaState, formula: tuple[int, ...]) -> bool:
    """Return whether a formula that begins with the elements so far can be reached."""
    known = site_table(state.space_group)
    *finished, current = state.counts or (0,)
    needs = list(formula[len(finished) :])
    needs[0] -= current
    return _can_fill(known, known.remaining_points(state.occupied), tuple(needs))


def _rank(symbol: str) -> int:
    return ELECTRONEGATIVITY_RANK[ATOMIC_NUMBERS[symbol]]


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
