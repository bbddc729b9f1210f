"""The Wyckoff positions of a space group by index, with the data that counting atoms needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.wyckoff.orbits import primitive_translations
from crystext.structures.wyckoff.positions import (
    WyckoffPosition,
    symmetry_operations,
    wyckoff_positions,
)
from crystext.tokenization.crystal_vocabulary import position_names

_GENERIC_COORDINATES = np.array([0.1137, 0.2351, 0.0853])
"""Coordinates that no operation maps onto themselves by coincidence."""


_SAME_SITE = 1e-6
"""Fractional; sites that differ by less are images of one another."""


@cache
def _name_indices() -> dict[str, int]:
    return {name: i for i, name in enumerate(position_names())}


@dataclass(frozen=True, eq=False)
class SiteTable:
    """The positions of one group, in the order of their letters.

    The occupied points are a whole number whose bit i says that point i is occupied.
    """

    space_group: int
    positions: tuple[WyckoffPosition, ...]
    orbit_sizes: tuple[int, ...]
    """Atoms of an orbit in the primitive cell."""
    is_point: tuple[bool, ...]
    """Which positions have no free coordinates, and so hold at most one orbit."""
    name_indices: tuple[int, ...]
    """Index of each name in `crystal_vocabulary.position_names`."""

    @cached_property
    def unlimited_sizes(self) -> tuple[int, ...]:
        """The orbit sizes that can occur any number of times, in increasing order."""
        pairs = zip(self.orbit_sizes, self.is_point, strict=True)
        return tuple(sorted({size for size, point in pairs if not point}))

    @cached_property
    def limited_sizes(self) -> tuple[int, ...]:
        """The orbit sizes that only points have, in increasing order."""
        return tuple(sorted(set(self.orbit_sizes) - set(self.unlimited_sizes)))

    @cached_property
    def index_of_name(self) -> dict[int, int]:
        """The position of each name, by the index of the name."""
        return {name: place for place, name in enumerate(self.name_indices)}

    def remaining_points(self, occupied: int) -> tuple[int, ...]:
        """Return the number of free points of each scarce size."""
        if (known := self._remaining_points.get(occupied)) is not None:
            return known
        left = [0] * len(self.limited_sizes)
        for place, size in enumerate(self.orbit_sizes):
            if size in self.limited_sizes and not occupied >> place & 1:
                left[self.limited_sizes.index(size)] += 1
        self._remaining_points[occupied] = tuple(left)
        return self._remaining_points[occupied]

    @cached_property
    def _remaining_points(self) -> dict[int, tuple[int, ...]]:
        return {}

    def occupy(self, occupied: int, position_index: int) -> int:
        """Return the occupied points after an orbit is placed at a position."""
        return occupied | 1 << position_index if self.is_point[position_index] else occupied

    def open_positions(self, occupied: int) -> list[int]:
        """Return the positions that can hold another orbit."""
        return [i for i, point in enumerate(self.is_point) if not (point and occupied >> i & 1)]

    @cached_property
    def primitive_rows(self) -> list[Ints]:
        """For each position the rows of `sites` of one primitive cell: shape (orbit size,)."""
        return [
            _primitive_rows(self.space_group, matrices, offsets)
            for matrices, offsets in self._site_maps
        ]

    @cached_property
    def _site_maps(self) -> list[tuple[Floats, Floats]]:
        return [_site_map(position) for position in self.positions]

    def sites(self, position_index: int, free: Floats) -> Floats:
        """Return all sites of an orbit in the conventional cell: shape (multiplicity, 3).

        The first is the representative. Not wrapped; the order does not depend on the coordinates,
        so each site results from the same operation for all orbits of the position.
        """
        matrices, offsets = self._site_maps[position_index]
        return np.asarray(matrices @ free + offsets)


@cache
def site_table(space_group: int) -> SiteTable:
    """Return the positions of a group."""
    known = tuple(wyckoff_positions(space_group).values())
    lattice_points = len(primitive_translations(space_group))
    numbers = _name_indices()
    return SiteTable(
        space_group,
        known,
        tuple(position.multiplicity // lattice_points for position in known),
        tuple(not position.free_axes for position in known),
        tuple(numbers[position.name] for position in known),
    )


def _site_map(position: WyckoffPosition) -> tuple[Floats, Floats]:
    """Return matrices (m, 3, k) and offsets (m, 3) that map free coordinates to sites."""
    rotations, translations = symmetry_operations(position.space_group)
    matrices = rotations @ position.matrix
    offsets = rotations @ position.offset + translations
    free = _GENERIC_COORDINATES[: len(position.free_axes)]
    sites = matrices @ free + offsets
    first: Ints = np.unique(np.round(sites % 1.0, 6) % 1.0, axis=0, return_index=True)[1]
    # Operation 0 is the identity, which gives the representative.
    chosen = np.sort(first)
    assert chosen[0] == 0
    assert len(chosen) == position.multiplicity
    return matrices[chosen], offsets[chosen]


def _primitive_rows(space_group: int, matrices: Floats, offsets: Floats) -> Ints:
    """Return the first site of each class of lattice translations, whatever the coordinates."""
    sites = matrices @ _GENERIC_COORDINATES[: matrices.shape[2]] + offsets
    centring = primitive_translations(space_group)
    rows: list[int] = []
    left = np.arange(len(sites))
    while len(left):
        rows.append(int(left[0]))
        apart = sites[left, None] - (sites[left[0]] + centring)
        apart -= np.rint(apart)
        left = left[(abs(apart).max(axis=2) > _SAME_SITE).all(axis=1)]
    return np.array(rows)
