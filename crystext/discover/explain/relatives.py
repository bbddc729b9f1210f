"""Known crystals that are related to one: of the same formula, and of the same prototype.

A prototype is a space group with the Wyckoff letters of each element (`metrics.prototypes`). The
exchange of elements that leads from a known crystal to this one is the one that keeps most
elements; of equals, the one whose elements are nearest on Pettifor's scale (Solid State Commun. 51,
31 (1984)).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from itertools import permutations, product

from crystext.chemistry.formulas import format_formula, reduce_counts
from crystext.discover.known_crystals import KnownCrystals
from crystext.metrics.prototypes import (
    Novelty,
    Prototype,
    anonymous_key,
    equivalent_settings,
    prototype_of,
)
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import find_space_group
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.structures.wyckoff.positions import wyckoff_positions

_MAX_SHOWN = 5
"""Crystals of each kind."""


@dataclass(frozen=True)
class Relative:
    """A known crystal."""

    name: str
    source: str
    """Title of its set."""
    formula: str
    space_group: int | None
    exchange: tuple[tuple[str, str], ...] = ()
    """Elements of the known crystal, and those of this one in their place, where they differ."""


@dataclass(frozen=True)
class Relatives:
    """What the known crystals say of a crystal."""

    same_crystal: str | None
    """Name of the known crystal that it matches."""
    same_formula: tuple[Relative, ...]
    """Others of its formula, the shipped sets first."""
    same_prototype: tuple[Relative, ...] | None
    """Those that need the fewest and nearest exchanges, each formula once; None if the crystal has
    no symmetry, so that its prototype says nothing."""

    @property
    def novelty(self) -> Novelty | None:
        """How new the crystal is; None if its symmetry does not tell."""
        if self.same_crystal is not None:
            return Novelty.SAME_CRYSTAL
        if self.same_prototype is None:
            return None
        fewest = min((len(x.exchange) for x in self.same_prototype), default=None)
        if fewest is None:
            return Novelty.NEW_PROTOTYPE
        return Novelty.SUBSTITUTION if fewest <= 1 else Novelty.KNOWN_PROTOTYPE


def find_relatives(crystal: Crystal, known_crystals: KnownCrystals) -> Relatives:
    """Return the known crystals that are related to a crystal."""
    orbits = to_wyckoff_or_none(crystal)
    symmetric = orbits is not None and orbits.space_group > 1
    return Relatives(
        known_crystals.match(crystal),
        tuple(_of_same_formula(crystal, known_crystals)),
        tuple(_of_same_prototype(prototype_of(orbits), known_crystals))
        if orbits is not None and symmetric
        else None,
    )


def _of_same_formula(crystal: Crystal, known_crystals: KnownCrystals) -> Iterator[Relative]:
    formula, shown = reduced_formula(crystal.numbers), 0
    for crystals in known_crystals.sets:
        for name, other in crystals.with_elements(frozenset(crystal.symbols)):
            if shown < _MAX_SHOWN and reduced_formula(other.numbers) == formula:
                shown += 1
                yield Relative(name, crystals.title, formula, find_space_group(other))


def _of_same_prototype(target: Prototype, known_crystals: KnownCrystals) -> list[Relative]:
    """Return known crystals of a prototype, those that need the least exchange first."""
    settings: dict[object, list[Prototype]] = defaultdict(list)
    for setting in equivalent_settings(target):
        settings[anonymous_key(setting)].append(setting)
    best: dict[str, tuple[int, float, str, Relative]] = {}
    for crystals in known_crystals.sets:
        for name, prototype in crystals.prototypes():
            alike = settings.get(anonymous_key(prototype))
            if not alike:
                continue
            exchange, distance = min(
                (_exchange(prototype, setting) for setting in alike), key=_exchange_cost
            )
            formula = _formula(prototype)
            relative = Relative(name, crystals.title, formula, prototype.space_group, exchange)
            row = (len(exchange), distance, name, relative)
            if formula not in best or row[:3] < best[formula][:3]:
                best[formula] = row
    return [relative for *_, relative in nsmallest(_MAX_SHOWN, best.values(), key=lambda x: x[:3])]


def _exchange_cost(exchange: tuple[Sequence[tuple[str, str]], float]) -> tuple[int, float]:
    return len(exchange[0]), exchange[1]


def _exchange(before: Prototype, target: Prototype) -> tuple[tuple[tuple[str, str], ...], float]:
    """Return the exchange that leads from a known prototype to an equal one, and its distance."""
    old, new = _by_letters(before), _by_letters(target)
    choices = [
        [list(zip(symbols, order, strict=True)) for order in permutations(new[letters])]
        for letters, symbols in old.items()
    ]
    exchanges = (
        tuple((a, b) for part in parts for a, b in part if a != b) for parts in product(*choices)
    )
    return min(
        ((exchange, sum(_distance(a, b) for a, b in exchange)) for exchange in exchanges),
        key=_exchange_cost,
    )


def _by_letters(prototype: Prototype) -> dict[tuple[str, ...], list[str]]:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for symbol, letters in prototype.letters:
        groups[letters].append(symbol)
    return groups


def _formula(prototype: Prototype) -> str:
    """Return the reduced formula of a prototype with its elements."""
    positions = wyckoff_positions(prototype.space_group)
    return format_formula(
        reduce_counts(
            {
                symbol: sum(positions[letter].multiplicity for letter in letters)
                for symbol, letters in prototype.letters
            }
        )
    )


def _distance(one: str, other: str) -> float:
    """Return how far two elements are apart on Pettifor's scale."""
    return abs(_pettifor_number(one) - _pettifor_number(other))


@cache
def _pettifor_number(symbol: str) -> float:
    from pymatgen.core.periodic_table import Element

    number = Element(symbol).mendeleev_no
    # Elements beyond lawrencium have none, and are far from all.
    return 200.0 if number is None else float(number)
