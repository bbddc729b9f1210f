"""Which elements may come next, and whether the text may end, for unfinished crystals.

If a formula or certain elements are requested, elements come in the order of texts, by increasing
electronegativity: what remains is then a matter of counts, and an element is allowed if and only if
the atoms left suffice for the rest of the request. Otherwise elements come in any order. Either way
some choice is always allowed, and every allowed choice keeps the request feasible.
"""

from __future__ import annotations

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.fields import END
from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools, min_distances

_RANK = np.array(ELECTRONEGATIVITY_RANK)
_ELEMENT_VALUES = len(_RANK)

_MAX_PACKING_FRACTION = 0.44
"""Greatest proportion of a cell filled by the atoms' spheres, whose radius is half the minimum
distance between atoms of the element. Of the 9,047 crystals of MP-20 val none fills more than 0.43
at a `min_distance_ratio` of 0.65 (neptunium), and 99% fill less than 0.30; the densest packing of
equal spheres fills 0.74."""


class CompositionRules:
    """Constraints of a request on the elements of a crystal and their numbers of atoms."""

    def __init__(self, constraints: Constraints) -> None:
        """Derive the rules from the constraints."""
        self.min_atoms, self.max_atoms = constraints.min_atoms, constraints.max_atoms
        self.permitted: Bools = np.ones(_ELEMENT_VALUES, dtype=np.bool_)
        """The elements that may occur, by atomic number; index 0, the end, is included."""
        if constraints.only is not None:
            self.permitted[1:] = False
            self.permitted[_atomic_numbers(constraints.only)] = True
        self.permitted[_atomic_numbers(constraints.exclude)] = False
        self.required = _in_text_order(constraints.require)
        """Required elements, in the order of texts; shape (K,)."""
        self.formula_sequences = _formula_sequences(constraints)
        """If a formula is requested, the values of the element fields for each number of formula
        units, padded with ends: shape (Z, max_atoms + 1). Otherwise (0, max_atoms + 1)."""
        spheres = _sphere_volumes(constraints.min_distance_ratio)
        self.formula_volumes: Floats = (
            spheres[self.formula_sequences].sum(axis=1) / _MAX_PACKING_FRACTION
        )
        """Å^3. Minimum volume of a cell for each of these numbers of formula units; shape (Z,)."""
        if len(self.formula_sequences):
            self.required = _in_text_order(tuple(symbol for symbol, _ in constraints.formula))
            self.permitted[1:] = False
            self.permitted[self.required] = True
        own = spheres[self.required].sum()
        rest = max(0, self.min_atoms - len(self.required))
        other = own + rest * spheres[1:][self.permitted[1:]].min()
        self.min_volume = float(
            self.formula_volumes[0] if len(self.formula_volumes) else other / _MAX_PACKING_FRACTION
        )
        """Å^3. Minimum volume of a cell."""

    def allowed(
        self, numbers: Ints, fits: Bools | None = None, volumes: Floats | None = None
    ) -> Bools:
        """Return which elements may come next, and at index 0 whether the text may end.

        Args:
            numbers: of the atoms so far; shape (B, N), N at most `max_atoms`.
            fits: elements for which the cell has room; shape (B, 119). Required elements have to
                be among them. None for all.
            volumes: of the cells, Å^3, `min_volume` or more; shape (B,). None for no limit.

        Returns:
            Shape (B, 119); each row allows at least one.
        """
        done = numbers.shape[1]
        if len(self.formula_sequences):
            return self._allowed_by_formula(numbers, volumes)
        allowed = np.tile(self.permitted, (len(numbers), 1))
        if fits is not None:
            allowed &= fits
        allowed[:, END] = done >= self.min_atoms
        left = self.max_atoms - done
        if len(self.required):
            self._restrict_to_required(numbers, allowed, left)
        if left == 0:
            allowed[:, 1:] = False
        return allowed

    def _allowed_by_formula(self, numbers: Ints, volumes: Floats | None) -> Bools:
        """Return the next elements of the formula sequences that match so far and fit the cell."""
        done = numbers.shape[1]
        open_ones = (self.formula_sequences[None, :, :done] == numbers[:, None]).all(axis=2)
        if volumes is not None:
            # Every cell has room for the smallest number of units, if only just.
            open_ones[:, 1:] &= self.formula_volumes[1:] <= volumes[:, None]
        row, which = np.nonzero(open_ones)
        allowed = np.zeros((len(numbers), _ELEMENT_VALUES), dtype=np.bool_)
        allowed[row, self.formula_sequences[which, done]] = True
        return allowed

    def _restrict_to_required(self, numbers: Ints, allowed: Bools, left: int) -> None:
        """Disallow elements out of order, or that leave no atom for a required element."""
        done = numbers.shape[1]
        here = (numbers[:, :, None] == self.required).any(axis=1)
        missing = len(self.required) - here.sum(axis=1)
        # Required elements come in order, so the missing ones are the last ones.
        complete = missing == 0
        nearest = self.required[np.where(complete, 0, len(self.required) - missing)]
        limit = np.where(complete, _ELEMENT_VALUES, _RANK[nearest])
        last = _RANK[numbers[:, -1]] if done else np.full(len(numbers), -1)
        # If no atom can be spared, only the next missing element is allowed.
        earliest = np.where(missing < left, last, limit)
        allowed &= (earliest[:, None] <= _RANK) & (limit[:, None] >= _RANK) | (_RANK < 0)
        allowed[:, END] &= complete


def _atomic_numbers(symbols: tuple[str, ...]) -> list[int]:
    return [ATOMIC_NUMBERS[symbol] for symbol in symbols]


def _in_text_order(symbols: tuple[str, ...]) -> Ints:
    numbers = np.array(sorted(set(_atomic_numbers(symbols))), dtype=np.int64)
    return numbers[np.argsort(_RANK[numbers])]


def _sphere_volumes(min_distance_ratio: float) -> Floats:
    """Return the volume of each element's sphere in Å^3, by number; 0 without minimum distances."""
    if min_distance_ratio == 0:
        return np.zeros(_ELEMENT_VALUES)
    volumes: Floats = np.pi / 6 * np.diagonal(min_distances(min_distance_ratio)) ** 3
    volumes[END] = 0.0
    return volumes


def _formula_sequences(constraints: Constraints) -> Ints:
    counts = {ATOMIC_NUMBERS[symbol]: count for symbol, count in constraints.formula}
    units = constraints.formula_units
    sequences = np.full((len(units), constraints.max_atoms + 1), END, dtype=np.int64)
    order = _in_text_order(tuple(symbol for symbol, _ in constraints.formula))
    for row, n in zip(sequences, units, strict=True):
        text = np.repeat(order, [n * counts[z] for z in order.tolist()])
        row[: len(text)] = text
    return sequences
