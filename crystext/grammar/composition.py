"""Which elements may come next, and whether the text may end, for unfinished crystals.

If a formula, certain elements or their numbers of atoms are requested, elements come in the order
of texts, by increasing electronegativity: what remains is then a matter of counts, and an element
is allowed if and only if the atoms left suffice for the rest of the request. Otherwise elements
come in any order. Either way some choice is always allowed, and every allowed choice keeps the
request feasible.
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
_BY_RANK: Ints = np.argsort(_RANK[1:]) + 1
"""Atomic numbers in the order of texts."""

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
        counted = tuple(symbol for symbol, fewest, _ in constraints.counts if fewest > 0)
        self.required = _in_text_order((*constraints.require, *counted))
        """Required elements, in the order of texts; shape (K,)."""
        self.fewest, self.most = _count_bounds(constraints, self.permitted, self.required)
        """Fewest and most atoms of each element, by atomic number; shape (119,)."""
        self._in_order = bool(len(self.required) or constraints.counts)
        spheres = _sphere_volumes(constraints.min_distance_ratio)
        self.formula_sequences = _formula_sequences(constraints, spheres)
        """If formulas of the cell are requested, the values of the element fields for each of them,
        padded with ends, the smallest atoms first: shape (Z, max_atoms + 1). Otherwise Z is 0."""
        self.formula_volumes: Floats = (
            spheres[self.formula_sequences].sum(axis=1) / _MAX_PACKING_FRACTION
        )
        """Å^3. Minimum volume of a cell for each of these formulas, in increasing order; (Z,)."""
        if len(self.formula_sequences):
            self.required = _in_text_order(constraints.formula_elements)
            self.permitted[1:] = False
            self.permitted[self.required] = True
        own = float(self.fewest @ spheres)
        rest = max(0, self.min_atoms - int(self.fewest.sum()))
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
        if self._in_order:
            self._restrict_to_counts(numbers, allowed, left)
        if left == 0:
            allowed[:, 1:] = False
        return allowed

    def _allowed_by_formula(self, numbers: Ints, volumes: Floats | None) -> Bools:
        """Return the next elements of the formula sequences that match so far and fit the cell."""
        done = numbers.shape[1]
        open_ones = (self.formula_sequences[None, :, :done] == numbers[:, None]).all(axis=2)
        if volumes is not None:
            # Every cell has room for the smallest atoms, if only just.
            open_ones[:, 1:] &= self.formula_volumes[1:] <= volumes[:, None]
        row, which = np.nonzero(open_ones)
        allowed = np.zeros((len(numbers), _ELEMENT_VALUES), dtype=np.bool_)
        allowed[row, self.formula_sequences[which, done]] = True
        return allowed

    def min_own_distance(self, image_distances: Floats) -> float:
        """Return the least minimum distance that leaves enough elements for a crystal, in Å.

        Args:
            image_distances: least of each element from its own images, by atomic number, in Å.
        """
        order = np.argsort(image_distances[1:], kind="stable") + 1
        order = order[self.permitted[order]]
        enough = np.cumsum(self.most[order]) >= self.min_atoms
        least = float(image_distances[order[enough.argmax()]])
        return max(least, float(image_distances[self.required].max(initial=0.0)))

    def _restrict_to_counts(self, numbers: Ints, allowed: Bools, left: int) -> None:
        """Disallow elements out of order, or that leave too few atoms, or too many, for others."""
        rows, done = len(numbers), numbers.shape[1]
        fewest, most = self.fewest[_BY_RANK], self.most[_BY_RANK]
        # Sums over the elements of a lower rank, and over those of a higher one.
        before = np.concatenate([[0], np.cumsum(fewest)])
        needed = before[-1] - before[1:]
        open_atoms = np.where(allowed[:, _BY_RANK], most, 0)
        room = open_atoms.sum(axis=1, keepdims=True) - np.cumsum(open_atoms, axis=1)
        last = _RANK[numbers[:, -1]] if done else np.full(rows, -1)
        own = (numbers == numbers[:, -1:]).sum(axis=1) if done else np.zeros(rows, dtype=np.int64)
        missing = np.maximum(0, fewest[last] - own) if done else np.zeros(rows, dtype=np.int64)
        ranks = np.arange(len(_BY_RANK))
        here = ranks == last[:, None]
        count = np.where(here, own[:, None], 0) + 1
        # What would be passed over: the rest of the last element, and those between.
        skipped = missing[:, None] + before[ranks] - before[last + 1][:, None]
        fits = (ranks >= last[:, None]) & (here | (skipped == 0)) & (count <= most)
        fits &= np.maximum(0, fewest - count) + needed <= left - 1
        fits &= most - count + room >= self.min_atoms - done - 1
        allowed[:, _BY_RANK] &= fits
        allowed[:, END] &= missing + before[-1] - before[last + 1] == 0


def _atomic_numbers(symbols: tuple[str, ...]) -> list[int]:
    return [ATOMIC_NUMBERS[symbol] for symbol in symbols]


def _count_bounds(constraints: Constraints, permitted: Bools, required: Ints) -> tuple[Ints, Ints]:
    """Return the fewest and most atoms of each element, by atomic number."""
    fewest = np.zeros(_ELEMENT_VALUES, dtype=np.int64)
    fewest[required] = 1
    most = np.where(permitted, constraints.max_atoms, 0).astype(np.int64)
    most[END] = 0
    for symbol, low, high in constraints.counts:
        number = ATOMIC_NUMBERS[symbol]
        fewest[number] = max(fewest[number], low)
        most[number] = min(most[number], high)
    return fewest, most


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


def _formula_sequences(constraints: Constraints, spheres: Floats) -> Ints:
    """Return the elements of each formula of the cell in the order of texts, padded with ends.

    Args:
        constraints: of the request.
        spheres: volume of each element's sphere, by atomic number; small formulas come first.
    """
    symbols = constraints.formula_elements
    numbers = _atomic_numbers(symbols)
    order = sorted(range(len(symbols)), key=lambda i: _RANK[numbers[i]])
    sequences = np.full(
        (len(constraints.cell_formulas), constraints.max_atoms + 1), END, dtype=np.int64
    )
    for row, counts in zip(sequences, constraints.cell_formulas, strict=True):
        text = [numbers[i] for i in order for _ in range(counts[i])]
        row[: len(text)] = text
    return sequences[np.argsort(spheres[sequences].sum(axis=1), kind="stable")]
