"""Convert a crystal to a space group and orbits, and back to atoms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors, lengths_and_angles
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import find_symmetry, niggli_reduce
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_values
from crystext.structures.wyckoff.positions import (
    WyckoffPosition,
    symmetry_operations,
    wyckoff_positions,
)

SYMPREC_IDEALIZED = 1e-3
"""Å; tolerance of the second search, in the cell that the first has symmetrized."""

_POSITION_TOLERANCE = 2e-3
"""Fractional; how far a site may be from the position that spglib says it is on."""
_SITE_KEY_DECIMALS = 5
"""Decimals to which sites are compared."""
_SITE_KEY_FACTORS = np.array([10 ** (2 * _SITE_KEY_DECIMALS), 10**_SITE_KEY_DECIMALS, 1])
_SITE_DECIMALS = 9
"""Decimals of a site's coordinates; further digits are noise of the matrix products."""
_IMAGE_TOLERANCE = 5e-9
"""Fractional; maximum rounding error between a site and the image of another."""


class Orbit(NamedTuple):
    """A set of equivalent atoms."""

    atomic_number: int
    """Atomic number."""
    position: WyckoffPosition
    free_coordinates: Floats
    """Free coordinates of the representative site, in [0, 1)."""


@dataclass(frozen=True)
class WyckoffCrystal:
    """A crystal given by its space group, its orbits and the free cell parameters."""

    space_group: int
    orbits: tuple[Orbit, ...]
    cell: tuple[float, ...]
    """Free parameters of the conventional cell; see `cell_parameters.free_parameter_names`."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms in a primitive cell."""
        in_cell = sum(orbit.position.multiplicity for orbit in self.orbits)
        return in_cell // len(primitive_translations(self.space_group))


def to_wyckoff(crystal: Crystal) -> WyckoffCrystal:
    """Return a crystal's space group at 0.1 Å, orbits and free cell parameters.

    The representative of an orbit is the site with the smallest free coordinates. Orbits are sorted
    by electronegativity, then letter, then coordinates.

    Raises:
        InputError: spglib finds no symmetry, or no setting in which the sites are on its positions.
    """
    lattice, sites, numbers = _standardized_cell(crystal)
    number, lattice, sites, letters, orbit_of = _in_default_setting(lattice, sites, numbers)
    known = wyckoff_positions(number)
    orbits = []
    for first in np.unique(orbit_of):
        members = orbit_of == first
        position = known[letters[int(np.flatnonzero(members)[0])]]
        found = representatives(position, sites[members])
        if not len(found):
            raise InputError(
                f"spglib puts atoms on position {position.name} of space group {number}, and none "
                "of them is where that position is"
            )
        orbits.append(Orbit(int(numbers[first]), position, found[0]))
    orbits.sort(key=_orbit_order)
    cell = free_parameter_values(number, *lengths_and_angles(lattice))
    return WyckoffCrystal(number, tuple(orbits), tuple(cell))


def to_wyckoff_or_none(crystal: Crystal) -> WyckoffCrystal | None:
    """Return the space group and orbits of a crystal; None if `to_wyckoff` finds none."""
    try:
        return to_wyckoff(crystal)
    except InputError:
        return None


def from_wyckoff(crystal: WyckoffCrystal) -> Crystal:
    """Return the crystal in a primitive cell, Niggli-reduced if spglib can reduce it.

    Raises:
        InputError: an orbit's coordinates place it on a position of fewer atoms.
    """
    group = crystal.space_group
    lattice = basis_vectors(*cell_parameters(group, crystal.cell))
    vectors = _niggli_basis(primitive_basis(group) @ lattice)
    to_primitive = lattice @ np.linalg.inv(vectors)
    sites, numbers = [], []
    for orbit in crystal.orbits:
        own = primitive_sites(orbit) @ to_primitive
        sites.append(np.round(own - np.floor(own), _SITE_DECIMALS) % 1.0)
        numbers += [orbit.atomic_number] * len(own)
    lengths, angles = lengths_and_angles(vectors)
    return Crystal(lengths, angles, np.array(numbers, dtype=np.int64), np.concatenate(sites))


def _niggli_basis(basis: Floats) -> Floats:
    """Return a right-handed Niggli-reduced basis of the same lattice.

    spglib gives up on some cells that are much longer than wide; these are returned unchanged.
    """
    found = niggli_reduce(basis)
    vectors = basis if found is None else found
    return -vectors if np.linalg.det(vectors) < 0 else vectors


def primitive_sites(orbit: Orbit) -> Floats:
    """Return the sites of an orbit in a primitive cell, one per class of lattice translations.

    Returns:
        Fractional coordinates in the conventional cell, of as many sites as a primitive cell has.

    Raises:
        InputError: the orbit's coordinates place it on a position of fewer atoms.
    """
    position = orbit.position
    return _primitive_sites(
        position.space_group, position.letter, tuple(orbit.free_coordinates.tolist())
    )


# Cached: a text's orbits are checked one by one, and then composed.
@lru_cache(maxsize=4096)
def _primitive_sites(space_group: int, letter: str, free: tuple[float, ...]) -> Floats:
    position = wyckoff_positions(space_group)[letter]
    sites = orbit_sites(position, np.array(free))
    centring = primitive_translations(space_group)
    own: list[Floats] = []
    left = sites
    while len(left):
        own.append(left[0])
        apart = left[:, None] - (left[0] + centring)
        apart -= np.rint(apart)
        left = left[(np.abs(apart).max(axis=2) > _IMAGE_TOLERANCE).all(axis=1)]
    if len(own) * len(centring) != position.multiplicity or len(sites) != position.multiplicity:
        raise InputError(
            f"an orbit on {position.name} of space group {space_group} has {len(sites)} "
            "atoms where its coordinates put it; they belong to a position of higher symmetry"
        )
    found = np.array(own)
    found.flags.writeable = False
    return found


def orbit_sites(position: WyckoffPosition, free: Floats) -> Floats:
    """Return all sites of an orbit in the conventional cell: shape (atoms, 3), in [0, 1)."""
    return equivalent_sites(position.space_group, position.site(free))


def equivalent_sites(space_group: int, site: Floats) -> Floats:
    """Return all images of a site under a group, in the conventional cell: shape (N, 3)."""
    rotations, translations = symmetry_operations(space_group)
    return _unique_sites(rotations @ site + translations)


def representatives(position: WyckoffPosition, sites: Floats) -> Floats:
    """Return the free coordinates of the sites that have the form of the representative.

    Args:
        position: the Wyckoff position of the sites.
        sites: fractional coordinates in the conventional cell; shape (N, 3).

    Returns:
        Shape (R, number of free coordinates), in [0, 1), in increasing order.
    """
    axes = list(position.free_axes)
    free = sites[:, axes] - np.floor(sites[:, axes])
    free[free > 1.0 - 0.1 * _POSITION_TOLERANCE] = 0.0
    off = sites - (free @ position.matrix.T + position.offset)
    off -= np.rint(off)
    near = free[np.abs(off).max(axis=1, initial=0.0) < _POSITION_TOLERANCE]
    return np.asarray(near[np.lexsort(near.T[::-1])] if len(axes) else near)


@cache
def primitive_translations(space_group: int) -> Floats:
    """Return the lattice points in a conventional cell, the origin first: shape (K, 3)."""
    rotations, translations = symmetry_operations(space_group)
    points: Floats = translations[(rotations == np.eye(3)).all(axis=(1, 2))]
    return points[np.lexsort(points.T)]


@cache
def primitive_basis(space_group: int) -> Floats:
    """Return a basis of the primitive lattice as rows, in terms of the conventional vectors."""
    centring = primitive_translations(space_group)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    candidates = [*np.eye(3), *(t - n for t in centring if t.any() for n in corners)]
    for rows in combinations(candidates, 3):
        basis = np.array(rows)
        if np.isclose(abs(np.linalg.det(basis)), 1.0 / len(centring)):
            return basis
    raise AssertionError(f"space group {space_group} has no primitive cell")


@cache
def inverse_primitive_basis(space_group: int) -> Floats:
    """Return the matrix that takes fractional coordinates to those in `primitive_basis`."""
    return np.asarray(np.linalg.inv(primitive_basis(space_group)))


def _orbit_order(orbit: Orbit) -> tuple[int, str, list[float]]:
    letter = orbit.position.letter
    # A comes after z.
    return (
        ELECTRONEGATIVITY_RANK[orbit.atomic_number],
        letter.replace("A", "~"),
        orbit.free_coordinates.tolist(),
    )


def _standardized_cell(crystal: Crystal) -> tuple[Floats, Floats, Ints]:
    """Return the standardised conventional cell: lattice, sites and numbers."""
    dataset = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, SYMPREC)
    return (
        np.asarray(dataset.std_lattice),
        np.asarray(dataset.std_positions),
        np.asarray(dataset.std_types, dtype=np.int64),
    )


def _in_default_setting(
    lattice: Floats, sites: Floats, numbers: Ints
) -> tuple[int, Floats, Floats, list[str], Ints]:
    """Return group, lattice, sites, letters and orbits in the setting of `positions`.

    spglib uses the setting of `hall_number` unless another one is requested.
    """
    dataset = find_symmetry(lattice, sites, numbers, SYMPREC_IDEALIZED)
    moved = sites @ np.asarray(dataset.transformation_matrix).T + dataset.origin_shift
    return (
        int(dataset.number),
        np.asarray(dataset.std_lattice),
        np.asarray(moved - np.floor(moved)),
        list(dataset.wyckoffs),
        np.asarray(dataset.crystallographic_orbits),
    )


def _unique_sites(sites: Floats) -> Floats:
    """Return sites wrapped into the cell, each once, in the order of their coordinates."""
    wrapped = np.round(sites - np.floor(sites), _SITE_DECIMALS) % 1.0
    whole = np.rint(wrapped * 10**_SITE_KEY_DECIMALS).astype(np.int64) % 10**_SITE_KEY_DECIMALS
    # Three coordinates as one number, which sorts several times faster than rows.
    _, first = np.unique(whole @ _SITE_KEY_FACTORS, return_index=True)
    return np.asarray(wrapped[first])
