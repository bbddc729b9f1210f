"""A crystal as a space group and orbits, and back to atoms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from crystext.crystal import Crystal, Floats, Ints, basis_vectors
from crystext.elements import ELECTRONEGATIVITY_RANK
from crystext.errors import InputError
from crystext.standardize import spglib_that_raises_quietly
from crystext.wyckoff.cells import cell_parameters, free_values
from crystext.wyckoff.positions import Position, hall_number, operations, positions

TIGHT = 1e-3
"""Å; tolerance of the second look, at a cell that the first has made as symmetric as it is."""

_ON_POSITION = 2e-3
"""Fractional; how far a site may be from the position that spglib says it is on."""
_SAME_SITE = 5
"""Decimals to which sites are told apart."""


class Orbit(NamedTuple):
    """Equivalent atoms."""

    number: int
    """Atomic number."""
    position: Position
    free: Floats
    """Free coordinates of the representative site, in [0, 1)."""


@dataclass(frozen=True)
class SymmetricCrystal:
    """A crystal described by what its symmetry leaves free."""

    space_group: int
    orbits: tuple[Orbit, ...]
    cell: tuple[float, ...]
    """Free parameters of the conventional cell, as `cells.free_parameters` names them."""


def decompose(crystal: Crystal, symprec: float = 0.1) -> SymmetricCrystal:
    """Return a crystal's space group, orbits and free cell parameters.

    Of an orbit's sites that could stand for it, the one of least free coordinates does. Orbits
    come by increasing electronegativity, then letter, then coordinates.

    Args:
        crystal: any description of it.
        symprec: Å; how far atoms may be from where symmetry wants them.

    Raises:
        InputError: spglib finds no symmetry, or no setting in which the sites are on its positions.
    """
    lattice, sites, numbers = _idealised(crystal, symprec)
    number, lattice, sites, letters, orbit_of = _in_default_setting(lattice, sites, numbers)
    known = positions(number)
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
    orbits.sort(key=_text_order)
    vectors = np.asarray(lattice)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / lengths[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    return SymmetricCrystal(number, tuple(orbits), tuple(free_values(number, lengths, angles)))


def compose(symmetric: SymmetricCrystal) -> Crystal:
    """Return the atoms of a primitive cell, reduced after Niggli.

    Raises:
        InputError: an orbit's coordinates put it on a position of fewer atoms.
    """
    import spglib

    group = symmetric.space_group
    lengths, angles = cell_parameters(group, symmetric.cell)
    lattice = basis_vectors(lengths[None], angles[None])[0]
    vectors: Any = spglib.niggli_reduce(primitive_basis(group) @ lattice)
    if vectors is None:
        raise InputError(f"the cell {lengths.tolist()} {angles.tolist()} cannot be reduced")
    if np.linalg.det(vectors) < 0:
        vectors = -vectors
    to_primitive = lattice @ np.linalg.inv(vectors)
    whole = len(primitive_translations(group))
    sites, numbers = [], []
    for orbit in symmetric.orbits:
        spread = orbit_sites(orbit.position, orbit.free)
        if len(spread) != orbit.position.multiplicity:
            raise InputError(
                f"an orbit on {orbit.position.name} of space group {group} has {len(spread)} atoms "
                "where its coordinates put it; they belong to a position of higher symmetry"
            )
        own = _distinct(spread @ to_primitive)
        assert len(own) * whole == len(spread)
        sites.append(own)
        numbers += [orbit.number] * len(own)
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    return Crystal(
        np.linalg.norm(vectors, axis=1),
        np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))),
        np.array(numbers, dtype=np.int64),
        np.concatenate(sites),
    )


def orbit_sites(position: Position, free: Floats) -> Floats:
    """Return all sites of an orbit in the conventional cell: shape (atoms, 3), in [0, 1)."""
    rotations, translations = operations(position.space_group)
    return _distinct(rotations @ position.site(free) + translations)


def representatives(position: Position, sites: Floats) -> Floats:
    """Return the free coordinates of those sites that are on the representative itself.

    Args:
        position: where the sites are.
        sites: fractional coordinates in the conventional cell; shape (N, 3).

    Returns:
        Shape (R, number of free coordinates), in [0, 1), in increasing order.
    """
    axes = list(position.free)
    free = sites[:, axes] - np.floor(sites[:, axes])
    free[free > 1.0 - 0.1 * _ON_POSITION] = 0.0
    off = sites - (free @ position.matrix.T + position.offset)
    off -= np.rint(off)
    near = free[np.abs(off).max(axis=1, initial=0.0) < _ON_POSITION]
    return np.asarray(near[np.lexsort(near.T[::-1])] if len(axes) else near)


@cache
def primitive_translations(space_group: int) -> Floats:
    """Return the lattice points in a conventional cell, the origin first: shape (K, 3)."""
    rotations, translations = operations(space_group)
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


def _text_order(orbit: Orbit) -> tuple[int, str, list[float]]:
    letter = orbit.position.letter
    # A comes behind z.
    return ELECTRONEGATIVITY_RANK[orbit.number], letter.replace("A", "~"), orbit.free.tolist()


def _idealised(crystal: Crystal, symprec: float) -> tuple[Floats, Floats, Ints]:
    """Return the standardised conventional cell: lattice, sites and numbers."""
    dataset = _dataset(crystal.lattice, crystal.positions, crystal.numbers, symprec)
    return (
        np.asarray(dataset.std_lattice),
        np.asarray(dataset.std_positions),
        np.asarray(dataset.std_types, dtype=np.int64),
    )


def _in_default_setting(
    lattice: Floats, sites: Floats, numbers: Ints
) -> tuple[int, Floats, Floats, list[str], Ints]:
    """Return group, lattice, sites, letters and orbits in the setting of `positions`."""
    dataset = _dataset(lattice, sites, numbers, TIGHT)
    number = int(dataset.number)
    if dataset.hall_number != hall_number(number):
        dataset = _dataset(lattice, sites, numbers, TIGHT, hall_number(number))
    moved = sites @ np.asarray(dataset.transformation_matrix).T + dataset.origin_shift
    return (
        number,
        np.asarray(dataset.std_lattice),
        np.asarray(moved - np.floor(moved)),
        list(dataset.wyckoffs),
        np.asarray(dataset.crystallographic_orbits),
    )


def _dataset(lattice: Floats, sites: Floats, numbers: Ints, symprec: float, hall: int = 0) -> Any:
    import spglib

    cell: Any = (lattice, sites, numbers)
    with spglib_that_raises_quietly():
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=symprec, hall_number=hall)
        except spglib.SpglibError as error:
            raise InputError(f"spglib finds no symmetry in it: {error}") from None
    if found is None:
        raise InputError("spglib finds no symmetry in it; are atoms too close together?")
    return found


def _distinct(sites: Floats) -> Floats:
    """Return sites wrapped into the cell, each once, in the order of their coordinates."""
    wrapped = np.round(sites - np.floor(sites), 9) % 1.0
    rounded = np.round(wrapped, _SAME_SITE) % 1.0
    _, first = np.unique(rounded, axis=0, return_index=True)
    return np.asarray(wrapped[first])
