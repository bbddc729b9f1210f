"""How new a crystal is: known, a known prototype with one element exchanged, or a new prototype.

The prototype of a crystal is its space group with the Wyckoff letters of each element, whatever the
elements are: rock salt is 225 with one element on a and another on b. Two crystals have the same
prototype if their letters agree for some choice of the cell's origin and axes
(`structures.wyckoff.normalizer`). Free coordinates and cell lengths are not compared, as in the
labels of AFLOW (Mehl et al., Comput. Mater. Sci. 136, S1 (2017)): a known prototype is at least of
the same symmetry and site occupation, and a new one is new for certain, but for triclinic and
monoclinic groups. There the standard axes are chosen by their lengths, so that a strained copy may
have other letters, and count as new.

What goes wrong otherwise: a crystal that matches nothing known may still be a known structure in
which one element is exchanged for its neighbour in the periodic table, which a search without a
model finds as well.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.normalizer import euclidean_normalizer
from crystext.structures.wyckoff.orbits import (
    WyckoffCrystal,
    equivalent_sites,
    representatives,
    to_wyckoff_or_none,
)
from crystext.structures.wyckoff.positions import wyckoff_positions

_GENERIC = np.array([0.1234567, 0.2718282, 0.3819660])
"""Free coordinates that no operation fixes by chance."""

_Letters = tuple[tuple[str, tuple[str, ...]], ...]
"""For each element, the letters of its orbits."""
PrototypeKey = tuple[int, tuple[object, ...]]


class Novelty(Enum):
    """How new a crystal is. The value is a description for users."""

    SAME_CRYSTAL = "it matches a known crystal"
    SUBSTITUTION = "its prototype is known, with at most one other element in its place"
    KNOWN_PROTOTYPE = "its prototype is known, with two or more other elements"
    NEW_PROTOTYPE = "its prototype is not in the data"

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name.lower()


class Prototype(NamedTuple):
    """A space group, and the letters of each element's orbits."""

    space_group: int
    letters: _Letters
    """Symbols of the elements, and the sorted letters of the orbits of each."""


@dataclass
class PrototypeIndex:
    """The prototypes of known crystals."""

    _names: dict[PrototypeKey, str] = field(default_factory=dict)
    """A crystal of each prototype, whatever its elements."""
    _exchanges: dict[PrototypeKey, str] = field(default_factory=dict)
    """The same with all elements but one."""

    def __len__(self) -> int:
        """Return the number of prototypes, in all settings in which they were added."""
        return len(self._names)

    def add(self, prototype: Prototype, name: str) -> None:
        """Add the prototype of a known crystal."""
        self._names.setdefault(anonymous_key(prototype), name)
        for key in _exchange_keys(prototype):
            self._exchanges.setdefault(key, name)

    def find(self, prototype: Prototype) -> tuple[Novelty, str | None]:
        """Return how new a prototype is, and the name of a crystal that has it.

        It never says `SAME_CRYSTAL`, which takes a comparison of the coordinates.
        """
        settings = equivalent_settings(prototype)
        for keys, names, novelty in (
            (map(_exchange_keys, settings), self._exchanges, Novelty.SUBSTITUTION),
            (([anonymous_key(x)] for x in settings), self._names, Novelty.KNOWN_PROTOTYPE),
        ):
            name = next((names[key] for some in keys for key in some if key in names), None)
            if name is not None:
                return novelty, name
        return Novelty.NEW_PROTOTYPE, None


def prototype_of(crystal: WyckoffCrystal) -> Prototype:
    """Return the prototype of a crystal that is given by its orbits."""
    return make_prototype(
        crystal.space_group,
        [(SYMBOLS[x.atomic_number - 1], x.position.letter) for x in crystal.orbits],
    )


def find_prototype(crystal: Crystal) -> Prototype | None:
    """Return the prototype of a crystal by spglib at 0.1 Å; None if it finds no symmetry."""
    orbits = to_wyckoff_or_none(crystal)
    return None if orbits is None else prototype_of(orbits)


def make_prototype(space_group: int, orbits: list[tuple[str, str]]) -> Prototype:
    """Return the prototype of a space group and the symbol and letter of each orbit."""
    letters: dict[str, list[str]] = defaultdict(list)
    for symbol, letter in orbits:
        letters[symbol].append(letter)
    return Prototype(space_group, tuple((s, tuple(sorted(letters[s]))) for s in sorted(letters)))


def prototype_label(prototype: Prototype) -> str:
    """Return a label that equal prototypes share, whatever their elements: `225 a b`.

    It is the space group with the letters of each element, in the setting whose letters come first;
    of two enantiomorphic groups each has its own.
    """
    letters = min(anonymous_key(setting)[1] for setting in equivalent_settings(prototype))
    return " ".join([str(prototype.space_group), *("".join(x) for x in letters)])


def equivalent_settings(prototype: Prototype) -> list[Prototype]:
    """Return a prototype with the letters of every equivalent choice of origin and axes."""
    group = prototype.space_group
    used = sorted({letter for _, letters in prototype.letters for letter in letters})
    exchanges = {
        tuple(_image_letter(group, letter, choice) for letter in used): None
        for choice in range(len(euclidean_normalizer(group).rotations))
    }
    settings = []
    for images in exchanges:
        mapping = dict(zip(used, images, strict=True))
        settings.append(
            Prototype(
                group,
                tuple(
                    (symbol, tuple(sorted(mapping[letter] for letter in letters)))
                    for symbol, letters in prototype.letters
                ),
            )
        )
    return settings


@cache
def _image_letter(space_group: int, letter: str, choice: int) -> str:
    """Return the letter of a position after a choice of origin and axes."""
    positions = wyckoff_positions(space_group)
    position = positions[letter]
    alike = [
        other
        for other in positions.values()
        if (other.multiplicity, len(other.free_axes))
        == (position.multiplicity, len(position.free_axes))
    ]
    if len(alike) == 1:
        return letter
    normalizer = euclidean_normalizer(space_group)
    site = position.site(_GENERIC[: len(position.free_axes)])
    moved = normalizer.rotations[choice] @ site + normalizer.shifts[choice]
    sites = equivalent_sites(space_group, moved)
    return next(other.letter for other in alike if len(representatives(other, sites)))


def anonymous_key(prototype: Prototype) -> tuple[int, tuple[tuple[str, ...], ...]]:
    """Return what prototypes have in common that are the same whatever their elements are."""
    return prototype.space_group, tuple(sorted(letters for _, letters in prototype.letters))


def _exchange_keys(prototype: Prototype) -> list[PrototypeKey]:
    """Return the key of a prototype with each of its elements left open."""
    letters = prototype.letters
    return [
        (prototype.space_group, (letters[i][1], *letters[:i], *letters[i + 1 :]))
        for i in range(len(letters))
    ]
