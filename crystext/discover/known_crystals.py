"""Crystals that are known: those that ship with the package, and the user's own.

The shipped sets are texts. A search asks for crystals of a few formulas only, so their texts are
decoded when a formula first comes up; reading all takes a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq

from crystext.chemistry.elements import SYMBOLS
from crystext.data.shipped import LABEL_BY_COLUMN, SHIPPED_SETS, shipped_set
from crystext.errors import InputError
from crystext.evaluate.reference_prototypes import (
    reference_prototypes,
    text_orbits,
    text_prototype,
)
from crystext.evaluate.reference_sets import (
    ReferenceSet,
    is_shipped_set,
    open_reference_set,
    specify_reference_set,
)
from crystext.metrics.prototypes import (
    Novelty,
    Prototype,
    PrototypeIndex,
    prototype_of,
)
from crystext.runtime.files import file_digest
from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.properties import reduced_formula
from crystext.structures.wyckoff.orbits import WyckoffCrystal, to_wyckoff_or_none
from crystext.text import WYCKOFF, decode

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

_FORMATION_ENERGY = next(
    column for column, name in LABEL_BY_COLUMN.items() if name == "formation_energy"
)


class KnownSet(Protocol):
    """A set of known crystals."""

    @property
    def title(self) -> str:
        """What it is, for users."""

    @property
    def identity(self) -> str:
        """A digest of its contents."""

    def __len__(self) -> int:
        """Return the number of crystals."""

    def with_elements(self, elements: frozenset[str]) -> Sequence[tuple[str, Crystal]]:
        """Return names and crystals of exactly these elements."""

    def with_orbits(self, elements: frozenset[str]) -> Iterator[tuple[str, WyckoffCrystal]]:
        """Yield names and orbits of crystals of exactly these elements, where these are known."""

    def prototypes(self) -> Iterator[tuple[str, Prototype]]:
        """Yield names and prototypes of its crystals."""


class ShippedTexts:
    """A set that ships, as texts."""

    def __init__(self, name: str) -> None:
        self.title, self._path = SHIPPED_SETS[name].title, shipped_set(name)
        table = pq.read_table(self._path)
        self._ids: list[str] = table["material_id"].to_pylist()
        self._texts: list[str] = table["text"].to_pylist()
        labelled = _FORMATION_ENERGY in table.column_names
        self._energies: list[float | None] = (
            table[_FORMATION_ENERGY].to_pylist() if labelled else [None] * len(self._ids)
        )

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def identity(self) -> str:
        """A digest of the file."""
        return file_digest(self._path)

    @cached_property
    def _rows_by_elements(self) -> dict[frozenset[str], list[int]]:
        rows: dict[frozenset[str], list[int]] = defaultdict(list)
        for row, text in enumerate(self._texts):
            rows[frozenset(symbol for symbol, _ in text_orbits(text))].append(row)
        return rows

    def with_elements(self, elements: frozenset[str]) -> list[tuple[str, Crystal]]:
        """Return names and crystals of exactly these elements."""
        return [(self._ids[i], self._crystal(i)) for i in self._rows_by_elements.get(elements, ())]

    def with_orbits(self, elements: frozenset[str]) -> Iterator[tuple[str, WyckoffCrystal]]:
        """Yield names and orbits of those of these elements that are given by their orbits."""
        for i in self._rows_by_elements.get(elements, ()):
            if (crystal := WYCKOFF.declared_wyckoff(self._texts[i])) is not None:
                yield self._ids[i], crystal

    def prototypes(self) -> Iterator[tuple[str, Prototype]]:
        """Yield names and prototypes of the crystals that are given by their orbits."""
        for name, text in zip(self._ids, self._texts, strict=True):
            prototype = text_prototype(text)
            if prototype is not None:
                yield name, prototype

    def formation_energies(self, elements: Iterable[str], n: int) -> list[tuple[Crystal, float]]:
        """Return crystals of some of these elements, and their formation energies in eV/atom.

        Args:
            elements: no others occur.
            n: maximum number of crystals, those with the most of the elements first.
        """
        allowed = frozenset(elements)
        inside = sorted(
            (-len(own), row)
            for own, rows in self._rows_by_elements.items()
            if own <= allowed
            for row in rows
        )
        return [
            (self._crystal(row), energy)
            for _, row in inside
            if (energy := self._energies[row]) is not None
        ][:n]

    def _crystal(self, row: int) -> Crystal:
        crystal = decode(self._texts[row]).crystal
        if crystal is None:
            raise InputError(f"{self._path} is damaged at {self._ids[row]}; install crystext again")
        return crystal


@cache
def shipped_texts(name: str) -> ShippedTexts:
    """Return a set that ships, read once per process."""
    return ShippedTexts(name)


class ReferenceCrystals:
    """A set of the user: a file, a folder, a store or a data set's name."""

    def __init__(self, source: str) -> None:
        """Open a set.

        Raises:
            InputError: it does not exist, or has invalid crystals.
        """
        self._set: ReferenceSet = open_reference_set(specify_reference_set(source, None))
        self.title = Path(source).name

    def __len__(self) -> int:
        return len(self._set)

    @property
    def identity(self) -> str:
        """A digest of its crystals."""
        return self._set.sha256

    @cached_property
    def _rows_by_elements(self) -> dict[frozenset[str], list[int]]:
        data = self._set.dataset
        rows: dict[frozenset[str], list[int]] = defaultdict(list)
        for i, (start, end) in enumerate(zip(data.offsets[:-1], data.offsets[1:], strict=True)):
            kinds = np.unique(data.numbers[start:end]).tolist()
            rows[frozenset(SYMBOLS[z - 1] for z in kinds)].append(i)
        return rows

    def with_elements(self, elements: frozenset[str]) -> list[tuple[str, Crystal]]:
        """Return names and crystals of exactly these elements."""
        return [
            (self._set.name(i), self._set.dataset[i].require_crystal())
            for i in self._rows_by_elements.get(elements, ())
        ]

    def with_orbits(self, elements: frozenset[str]) -> Iterator[tuple[str, WyckoffCrystal]]:
        """Yield names and orbits of those of these elements in which spglib finds a symmetry."""
        for i in self._rows_by_elements.get(elements, ()):
            record = self._set.dataset[i]
            crystal = record.wyckoff or to_wyckoff_or_none(record.require_crystal())
            if crystal is not None:
                yield self._set.name(i), crystal

    def prototypes(self) -> Iterator[tuple[str, Prototype]]:
        """Yield names and prototypes of the crystals in which spglib finds a symmetry."""
        return reference_prototypes(self._set)


class CrystalMatcher:
    """Named crystals, among which equal ones are found by StructureMatcher."""

    def __init__(self) -> None:
        self._matcher = DIFFCSP_TOLERANCES.matcher()
        self._by_formula: dict[str, list[_MatchedCrystal]] = defaultdict(list)

    def add(self, name: str, crystal: Crystal) -> None:
        """Add a crystal."""
        self._by_formula[reduced_formula(crystal.numbers)].append(_MatchedCrystal(name, crystal))

    def find(self, crystal: Crystal) -> str | None:
        """Return the name of the first crystal that equals this one, or None."""
        others = self._by_formula.get(reduced_formula(crystal.numbers), ())
        reduced = reduce_for_matching(crystal) if others else None
        return next(
            (x.name for x in others if is_same(self._matcher, x.reduced, reduced)),
            None,
        )


class _MatchedCrystal:
    """A crystal that is reduced when it is first compared."""

    def __init__(self, name: str, crystal: Crystal) -> None:
        self.name, self._crystal = name, crystal

    @cached_property
    def reduced(self) -> Structure | None:
        """As `reduce_for_matching` returns it."""
        return reduce_for_matching(self._crystal)


class NoveltyResult(NamedTuple):
    """How new a crystal is."""

    novelty: Novelty
    nearest: str | None
    """A known crystal that it equals, or that has its prototype."""


class KnownCrystals:
    """All known crystals of a search."""

    def __init__(self, sources: Sequence[str] = (), *, shipped: bool = True) -> None:
        """Open the sets.

        Args:
            sources: names and files besides the sets that ship, or names of these.
            shipped: whether all sets that ship are among them.

        Raises:
            InputError: a set does not exist.
        """
        names = dict.fromkeys([*(SHIPPED_SETS if shipped else ()), *sources])
        self.sets: list[KnownSet] = [
            shipped_texts(name) if is_shipped_set(name) else ReferenceCrystals(name)
            for name in names
        ]
        self._matcher = CrystalMatcher()
        self._read: set[frozenset[str]] = set()

    @property
    def identity(self) -> list[str]:
        """The digests of the sets."""
        return [known.identity for known in self.sets]

    def match(self, crystal: Crystal) -> str | None:
        """Return the name of the known crystal that equals this one, or None."""
        elements = frozenset(crystal.symbols)
        if elements not in self._read:
            self._read.add(elements)
            for name, other in self.with_elements(elements):
                self._matcher.add(name, other)
        return self._matcher.find(crystal)

    def with_orbits(self, elements: frozenset[str]) -> Iterator[tuple[str, WyckoffCrystal]]:
        """Yield names and orbits of known crystals of exactly these elements."""
        for known in self.sets:
            yield from known.with_orbits(elements)

    def novelty(self, crystal: Crystal) -> NoveltyResult | None:
        """Return how new a crystal is; None if spglib finds no symmetry in it."""
        if (name := self.match(crystal)) is not None:
            return NoveltyResult(Novelty.SAME_CRYSTAL, name)
        orbits = to_wyckoff_or_none(crystal)
        if orbits is None:
            return None
        return NoveltyResult(*self._prototypes.find(prototype_of(orbits)))

    def with_elements(self, elements: frozenset[str]) -> list[tuple[str, Crystal]]:
        """Return names and crystals of exactly these elements, of all sets."""
        return [pair for known in self.sets for pair in known.with_elements(elements)]

    def formation_energies(self, elements: Iterable[str], n: int) -> list[tuple[Crystal, float]]:
        """Return up to n crystals of some of these elements with their formation energies."""
        shipped = [x for x in self.sets if isinstance(x, ShippedTexts)] or [
            shipped_texts(name) for name in SHIPPED_SETS
        ]
        return [pair for known in shipped for pair in known.formation_energies(elements, n)][:n]

    @cached_property
    def _prototypes(self) -> PrototypeIndex:
        index = PrototypeIndex()
        for known in self.sets:
            for name, prototype in known.prototypes():
                index.add(prototype, name)
        return index
