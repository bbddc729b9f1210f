"""The compounds of a hull as arrays, searchable by chemical system.

A table of some 100,000 compounds is held in a few flat arrays, and each compound's elements in the
bits of two integers, so that opening it creates no object per compound, and finding the compounds
of a chemical system is one comparison over the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import format_formula, sort_by_electronegativity

_WORD_BITS = 64
"""Bits of an integer of a mask; two of them hold all elements."""

_SAME_FRACTION = 1e-6
"""Difference of atomic fractions up to which two compositions count as equal."""


@dataclass(frozen=True, eq=False)
class Compounds:
    """Compositions of two or more elements with their formation energies, each composition once."""

    starts: NDArray[np.int64]
    """(P + 1,): compound p has the entries starts[p]:starts[p + 1] of `elements` and `amounts`."""
    elements: NDArray[np.int64]
    """Atomic numbers, ascending within a compound."""
    amounts: NDArray[np.float64]
    """Of the elements, in any unit."""
    energies: NDArray[np.float64]
    """(P,): formation energies in eV/atom."""
    height_only: NDArray[np.bool_]
    """(P,): True if the energy is the height of the hull at the composition of a phase above it, so
    that no phase has this energy."""

    def __len__(self) -> int:
        """Return the number of compounds."""
        return len(self.energies)

    def __iter__(self) -> Iterator[tuple[dict[str, float], float]]:
        """Yield amounts by element symbol, and formation energies in eV/atom."""
        for index, energy in enumerate(self.energies.tolist()):
            yield self.composition(index), energy

    def within(self, elements: Iterable[int]) -> NDArray[np.int64]:
        """Return the indices of the compounds that hold only these elements, some or all.

        Args:
            elements: atomic numbers.
        """
        low, high = self._masks
        allowed_low, allowed_high = _element_masks(elements)
        return np.flatnonzero(((low & ~allowed_low) | (high & ~allowed_high)) == 0)

    def with_exactly(self, elements: Iterable[int]) -> NDArray[np.int64]:
        """Return the indices of the compounds that hold all of these elements and no others."""
        low, high = self._masks
        wanted_low, wanted_high = _element_masks(elements)
        return np.flatnonzero((low == wanted_low) & (high == wanted_high))

    def find(self, composition: Mapping[int, float]) -> int | None:
        """Return the index of the compound of this composition; None if there is none.

        Args:
            composition: amounts by atomic number, in any unit.
        """
        elements = sorted(composition)
        chosen = self.with_exactly(elements)
        amounts = np.array([composition[z] for z in elements], dtype=np.float64)
        off = self.fractions(chosen, elements) - (amounts / amounts.sum())[:, None]
        found = chosen[np.abs(off).max(axis=0) < _SAME_FRACTION] if len(chosen) else chosen
        return int(found[0]) if len(found) else None

    def fractions(self, indices: NDArray[np.int64], elements: Sequence[int]) -> NDArray[np.float64]:
        """Return the atomic fractions of some compounds, of shape (elements, compounds).

        Args:
            indices: indices of compounds.
            elements: atomic numbers, including all elements of these compounds.
        """
        rows = np.full(len(SYMBOLS) + 1, -1)
        rows[list(elements)] = np.arange(len(elements))
        first = self.starts[indices]
        sizes = self.starts[indices + 1] - first
        columns = np.repeat(np.arange(len(indices)), sizes)
        entries = np.arange(len(columns)) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
        fractions = np.zeros((len(elements), len(indices)))
        fractions[rows[self.elements[entries]], columns] = self.amounts[entries]
        fractions /= fractions.sum(axis=0)
        return fractions

    def composition(self, index: int) -> dict[str, float]:
        """Return the amounts of a compound by element symbol."""
        span = slice(self.starts[index], self.starts[index + 1])
        symbols = [SYMBOLS[z - 1] for z in self.elements[span].tolist()]
        return dict(zip(symbols, self.amounts[span].tolist(), strict=True))

    def formula(self, index: int) -> str:
        """Return the formula of a compound, elements by electronegativity: Li3PO4."""
        return formula_of(self.composition(index))

    @cached_property
    def _masks(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The elements of each compound as the bits of two integers, each of shape (P,)."""
        if not len(self):
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        words, shifts = np.divmod(self.elements - 1, _WORD_BITS)
        bits = np.uint64(1) << shifts.astype(np.uint64)
        low, high = (np.where(words == word, bits, np.uint64(0)) for word in (0, 1))
        starts = self.starts[:-1]
        return np.bitwise_or.reduceat(low, starts), np.bitwise_or.reduceat(high, starts)


def make_compounds(compositions: Iterable[tuple[Mapping[str, float], float]]) -> Compounds:
    """Return compounds from amounts by symbol and formation energies in eV/atom.

    Elements are left out: their formation energy is 0 by definition. The lowest energy of each
    composition is kept, however its amounts are written.
    """
    lowest: dict[tuple[tuple[int, float], ...], tuple[float, list[tuple[int, float]]]] = {}
    for composition, energy in compositions:
        if len(composition) < 2:
            continue
        entries = sorted((ATOMIC_NUMBERS[symbol], n) for symbol, n in composition.items())
        total = sum(n for _, n in entries)
        key = tuple((z, round(n / total, 9)) for z, n in entries)
        if energy < lowest.get(key, (math.inf, []))[0]:
            lowest[key] = energy, entries
    entries = [entry for _, found in lowest.values() for entry in found]
    sizes = [len(found) for _, found in lowest.values()]
    return Compounds(
        np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
        np.array([z for z, _ in entries], dtype=np.int64),
        np.array([n for _, n in entries], dtype=np.float64),
        np.array([energy for energy, _ in lowest.values()], dtype=np.float64),
        np.zeros(len(lowest), dtype=np.bool_),
    )


def formula_of(composition: Mapping[str, float]) -> str:
    """Return a formula, elements by electronegativity: the smallest whole counts if all are whole.

    Other amounts are written unchanged: Li0.5CoO2.
    """
    symbols = sort_by_electronegativity(composition)
    if all(float(amount).is_integer() for amount in composition.values()):
        whole = {symbol: int(composition[symbol]) for symbol in symbols}
        divisor = math.gcd(*whole.values())
        return format_formula((symbol, whole[symbol] // divisor) for symbol in symbols)
    return "".join(s if composition[s] == 1 else f"{s}{composition[s]:g}" for s in symbols)


def _element_masks(elements: Iterable[int]) -> tuple[np.uint64, np.uint64]:
    """Return the two integers whose bits are these atomic numbers."""
    mask = 0
    for z in elements:
        mask |= 1 << (z - 1)
    return np.uint64(mask % 2**_WORD_BITS), np.uint64(mask >> _WORD_BITS)
