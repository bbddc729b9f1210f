"""The Wyckoff positions of a space group by number, as counting needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.wyckoff.orbits import primitive_translations
from crystext.structures.wyckoff.positions import Position, operations, positions
from crystext.tokenization.crystal_vocabulary import position_names

_GENERIC = np.array([0.1137, 0.2351, 0.0853])
"""Coordinates that no operation maps onto themselves by chance."""


@cache
def _name_numbers() -> dict[str, int]:
    return {name: i for i, name in enumerate(position_names())}


@dataclass(frozen=True, eq=False)
class Places:
    """The positions of one group, in the order of their letters.

    What has been taken of them is a whole number whose bit i says that point i is taken.
    """

    space_group: int
    all: tuple[Position, ...]
    sizes: tuple[int, ...]
    """Atoms of an orbit in the primitive cell."""
    points: tuple[bool, ...]
    """Which have no free coordinates, and so hold one orbit at most."""
    names: tuple[int, ...]
    """Number of each name among `vocabulary.position_names`."""

    @cached_property
    def free_sizes(self) -> tuple[int, ...]:
        """The sizes of which there are any number of orbits, in increasing order."""
        pairs = zip(self.sizes, self.points, strict=True)
        return tuple(sorted({size for size, point in pairs if not point}))

    @cached_property
    def scarce_sizes(self) -> tuple[int, ...]:
        """The sizes that points alone have, in increasing order."""
        return tuple(sorted(set(self.sizes) - set(self.free_sizes)))

    @cached_property
    def by_name(self) -> dict[int, int]:
        """The position that has a name, by the name's number."""
        return {name: place for place, name in enumerate(self.names)}

    def stock(self, taken: int) -> tuple[int, ...]:
        """Return how many points of each scarce size are left."""
        left = [0] * len(self.scarce_sizes)
        for place, size in enumerate(self.sizes):
            if size in self.scarce_sizes and not taken >> place & 1:
                left[self.scarce_sizes.index(size)] += 1
        return tuple(left)

    def take(self, taken: int, place: int) -> int:
        """Return what is taken after an orbit was put somewhere."""
        return taken | 1 << place if self.points[place] else taken

    def open_places(self, taken: int) -> list[int]:
        """Return where an orbit can be put."""
        return [i for i, point in enumerate(self.points) if not (point and taken >> i & 1)]

    @cached_property
    def _spreads(self) -> list[tuple[Floats, Floats]]:
        return [_spread(position) for position in self.all]

    def sites(self, place: int, free: Floats) -> Floats:
        """Return all sites of an orbit in the conventional cell: shape (multiplicity, 3).

        The first is the representative. Not wrapped; in an order that does not depend on where the
        orbit is, so that each site is the same operation's work for all orbits of the position.
        """
        matrices, offsets = self._spreads[place]
        return np.asarray(matrices @ free + offsets)


@cache
def places(space_group: int) -> Places:
    """Return the positions of a group."""
    known = tuple(positions(space_group).values())
    lattice_points = len(primitive_translations(space_group))
    numbers = _name_numbers()
    return Places(
        space_group,
        known,
        tuple(position.multiplicity // lattice_points for position in known),
        tuple(not position.free for position in known),
        tuple(numbers[position.name] for position in known),
    )


def _spread(position: Position) -> tuple[Floats, Floats]:
    """Return matrices (m, 3, k) and offsets (m, 3) that make sites of free coordinates."""
    rotations, translations = operations(position.space_group)
    matrices = rotations @ position.matrix
    offsets = rotations @ position.offset + translations
    free = _GENERIC[: len(position.free)]
    sites = matrices @ free + offsets
    first: Ints = np.unique(np.round(sites % 1.0, 6) % 1.0, axis=0, return_index=True)[1]
    # Operation 0 is the identity, which makes the representative.
    chosen = np.sort(first)
    assert chosen[0] == 0
    assert len(chosen) == position.multiplicity
    return matrices[chosen], offsets[chosen]
