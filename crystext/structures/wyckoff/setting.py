"""A space group in the cell of a file, and how it relates to the setting of `positions`.

A file may have a primitive cell, another origin or other axes than the standard ones. Its
operations act on its own coordinates; with a change of basis and origin,

    x_standard = matrix @ x_file + shift,

the Wyckoff positions of the group are known there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Floats, Ints
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import spglib_environment
from crystext.structures.wyckoff.orbits import (
    Orbit,
    equivalent_sites,
    primitive_translations,
    representatives,
)
from crystext.structures.wyckoff.positions import (
    WyckoffPosition,
    hall_number,
    wyckoff_positions,
)

_GENERIC_SITES = np.array(
    [[0.0713, 0.1931, 0.3377], [0.2219, 0.4133, 0.0467], [0.3571, 0.0523, 0.2913]]
)
"""Sites that only the operations of a group map onto each other."""

_GENERIC_COORDINATES = np.array([0.1137, 0.2351, 0.0853])
"""Free coordinates that no operation maps onto themselves by coincidence."""

_GENERIC_METRIC = np.array([[37.0, -3.1, -2.3], [-3.1, 53.0, -4.7], [-2.3, -4.7, 79.0]])
"""Å^2; the scalar products of a cell of no symmetry, in place of one that is not known."""

_SAME_SITE = 1e-4
"""Fractional; sites that differ by less coincide."""


class OrbitMap(NamedTuple):
    """The sites of a Wyckoff position in the cell of a file: `matrices @ free + offsets`."""

    matrices: Floats
    """Shape (sites, 3, number of free coordinates)."""
    offsets: Floats
    """Shape (sites, 3)."""

    def sites(self, free: Floats) -> Floats:
        """Return the sites that these free coordinates give, the representative first: (S, 3)."""
        return np.asarray(self.matrices @ free + self.offsets)


class ExpandedOrbit(NamedTuple):
    """The orbit of a site."""

    orbit: Orbit
    """In the standard setting."""
    sites: Floats
    """In the cell of the file, the given site first; shape (S, 3)."""


@dataclass(frozen=True, eq=False)
class GroupSetting:
    """A space group in the cell of a file."""

    number: int
    rotations: Floats
    """Matrices that act on columns of the file's coordinates; shape (G, 3, 3)."""
    translations: Floats
    """Fractional, one operation for each class of the cell's translations; shape (G, 3)."""
    matrix: Floats
    """From coordinates in the file to standard ones; shape (3, 3)."""
    shift: Floats
    """Shape (3,)."""

    @property
    def key(self) -> frozenset[tuple[int, ...]]:
        """Equal for settings with the same operations."""
        return operation_keys(self.rotations, self.translations)

    @property
    def lattice_points(self) -> int:
        """Number of primitive cells in the cell of the file."""
        centring = len(primitive_translations(self.number))
        return max(1, round(abs(float(np.linalg.det(self.matrix))) * centring))

    @cached_property
    def _to_file(self) -> Floats:
        return np.asarray(np.linalg.inv(self.matrix))

    def standard_lattice(self, lattice: Floats) -> Floats:
        """Return the standard conventional cell of the file's cell, basis vectors as rows."""
        return np.asarray(self._to_file.T @ lattice)

    def file_lattice(self, standard: Floats) -> Floats:
        """Return the cell of the file of a standard one: the inverse of `standard_lattice`."""
        return np.asarray(self.matrix.T @ standard)

    def orbit_map(self, position: WyckoffPosition) -> OrbitMap:
        """Return the sites of a position in the file's cell, each once."""
        return _orbit_map(self, position)

    def expand(self, number: int, site: Floats, lattice: Floats) -> ExpandedOrbit:
        """Return the orbit of a site, which is moved onto a special position that is near.

        Args:
            number: atomic number.
            site: coordinates in the file; shape (3,).
            lattice: of the file, basis vectors as rows; shape (3, 3).

        Raises:
            InputError: no Wyckoff position holds it.
        """
        exact = self._moved_onto_position(site, lattice)
        images = self.rotations @ exact + self.translations
        sites = [exact]
        for image in images:
            away = np.array(sites) - image
            away -= np.rint(away)
            if not (np.abs(away).max(axis=1) < _SAME_SITE).any():
                sites.append(image - np.floor(image))
        standard = equivalent_sites(self.number, self.matrix @ exact + self.shift)
        for position in wyckoff_positions(self.number).values():
            if position.multiplicity == len(standard):
                found = representatives(position, standard)
                if len(found):
                    free = np.round(found[0], 9) % 1.0
                    return ExpandedOrbit(Orbit(number, position, free), np.array(sites))
        raise InputError(
            f"no Wyckoff position of space group {self.number} holds a site at "
            f"{', '.join(f'{x:.4g}' for x in site)}; expected operations that form a group"
        )

    def _moved_onto_position(self, site: Floats, lattice: Floats) -> Floats:
        """Return the mean of a site and its images within the tolerance of space groups."""
        current = site
        for _ in range(10):
            away = self.rotations @ current + self.translations - current
            away -= np.rint(away)
            near = np.linalg.norm(away @ lattice, axis=1) < SYMPREC
            step = away[near].mean(axis=0)
            if np.abs(step).max() < 1e-13:
                break
            current = current + step
        return current


def operation_keys(rotations: Floats, translations: Floats) -> frozenset[tuple[int, ...]]:
    """Return the operations as whole numbers, translations within the cell and in 1/10,000."""
    moves = np.rint(translations * 1e4).astype(np.int64) % 10_000
    turns = np.rint(rotations).astype(np.int64).reshape(-1, 9)
    return frozenset(map(tuple, np.concatenate([turns, moves], axis=1).tolist()))


def group_setting(
    number: int, rotations: Floats | Ints, translations: Floats, lattice: Floats | None = None
) -> GroupSetting:
    """Return the setting of a group from its operations.

    Args:
        number: of the space group.
        rotations: of all operations; shape (G, 3, 3).
        translations: shape (G, 3).
        lattice: the cell, basis vectors as rows in Å; None if it is not known.

    Raises:
        InputError: the operations are not those of this space group.
    """
    import spglib

    turns = np.rint(rotations).astype(np.float64)
    metric = _GENERIC_METRIC if lattice is None else lattice @ lattice.T
    metric = np.einsum("gai,ab,gbj->ij", turns, metric, turns) / len(turns)
    # A large cell: what counts are the operations, and atoms that are near are no evidence.
    basis = 10.0 * np.linalg.cholesky(metric)
    sites = [turns @ site + translations for site in _GENERIC_SITES]
    kinds = np.repeat(np.arange(1, len(sites) + 1), len(turns))
    cell: Any = (basis, np.concatenate(sites) % 1.0, kinds)
    found: Any = None
    with spglib_environment():
        try:
            kind = spglib.get_spacegroup_type_from_symmetry(
                turns.astype("intc"), np.asarray(translations), basis
            )
            # For another group than that of the Hall number, the next call takes minutes.
            if kind is None or kind.number == number:
                found = spglib.get_symmetry_dataset(
                    cell, symprec=1e-3, hall_number=hall_number(number)
                )
        except spglib.SpglibError:
            found = None
    if found is None or found.number != number:
        raise InputError(
            f"its symmetry operations are not those of space group {number}; expected all "
            "operations of that group"
        )
    return GroupSetting(
        number,
        turns,
        translations - np.floor(translations),
        np.asarray(found.transformation_matrix),
        np.asarray(found.origin_shift),
    )


@cache
def _orbit_map(setting: GroupSetting, position: WyckoffPosition) -> OrbitMap:
    to_file = np.linalg.inv(setting.matrix)
    matrix, offset = to_file @ position.matrix, to_file @ (position.offset - setting.shift)
    matrices = setting.rotations @ matrix
    offsets = setting.rotations @ offset + setting.translations
    free = _GENERIC_COORDINATES[: len(position.free_axes)]
    sites = matrices @ free + offsets
    kept: list[int] = []
    for i in [
        int(np.abs(setting.rotations - np.eye(3)).sum(axis=(1, 2)).argmin()),
        *range(len(sites)),
    ]:
        away = sites[kept] - sites[i]
        away -= np.rint(away)
        if not kept or (np.abs(away).max(axis=1) > _SAME_SITE).all():
            kept.append(i)
    return OrbitMap(matrices[kept], offsets[kept])
