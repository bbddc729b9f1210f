"""Which coordinates keep an orbit off positions of higher symmetry, and off other orbits.

A coordinate is ruled out if it would merge atoms of its own orbit or put one on an existing atom.
Two sites are apart if their fractional coordinates differ, summed over the axes and up to whole
translations, by more than a given fraction: with lengths below `text.formats.MAX_LENGTH`, and for
any angles, atoms are no farther apart than that fraction of `MAX_LENGTH`. So with the minimum
distance over `MAX_LENGTH` as the fraction, exactly those coordinates are ruled out for which the
text could hold no cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools, min_distances
from crystext.structures.wyckoff.positions import WyckoffPosition, symmetry_operations
from crystext.text.formats import MAX_LENGTH

_ZERO_DIFFERENCE = 1e-6
"""Smaller differences count as zero."""


def min_separation(distance: float, decimals: int) -> float:
    """Return by which fraction of the cell sites have to differ.

    Args:
        distance: Å; 0 for no minimum.
        decimals: of the coordinates. Sites that differ by one unit of the last or less may be the
            same, one being rounded: 0.333 stands for 1/3.
    """
    return max(distance / MAX_LENGTH, _rounding_separation(decimals))


@cache
def separation_table(min_distance_ratio: float, decimals: int) -> Floats:
    """Return `min_separation` of each pair of elements: shape (119, 119), by number."""
    distances = (
        min_distances(min_distance_ratio) if min_distance_ratio > 0 else np.zeros((119, 119))
    )
    return np.maximum(distances / MAX_LENGTH, _rounding_separation(decimals))


def _rounding_separation(decimals: int) -> float:
    return 1.5 * 10.0**-decimals


class _OrbitShifts(NamedTuple):
    """The shifts of a site by the operations: `matrices @ free + offsets`, one row each."""

    matrices: Floats
    """Shape (G, 3, number of free coordinates)."""
    offsets: Floats
    """Shape (G, 3)."""
    wide: Floats
    """Both in one: zeros for missing columns, and the offset as the last, shape (G, 3, 4)."""


def apart_in_orbit(
    position: WyckoffPosition, chosen: list[float], values: Floats, separation: float
) -> Bools:
    """Return which values of the next free coordinate keep all atoms of the orbit apart.

    Operations whose shift depends on later coordinates are checked at those.

    Args:
        position: of the orbit.
        chosen: its free coordinates that are chosen.
        values: shape (V,).
        separation: minimum, see `min_separation`.

    Returns:
        Shape (V,).
    """
    column = len(chosen)
    matrices, offsets, _ = _orbit_shifts(position)[column]
    if not len(offsets):
        return np.ones(len(values), dtype=np.bool_)
    known = offsets + matrices[:, :, :column] @ np.array(chosen)
    moved = known[None] + values[:, None, None] * matrices[:, :, column]
    return np.asarray(_wrapped_norm(moved).min(axis=1) > separation)


def apart_from_others(
    position: WyckoffPosition,
    chosen: list[float],
    values: Floats,
    sites: Floats,
    separations: Floats,
) -> Bools:
    """Return which values of the last free coordinate keep an orbit off occupied sites.

    Args:
        position: of the orbit.
        chosen: all its free coordinates but the last.
        values: shape (V,).
        sites: all occupied sites in the conventional cell; shape (S, 3).
        separations: minimum for each, see `min_separation`; shape (S,).

    Returns:
        Shape (V,).
    """
    if not len(sites):
        return np.ones(len(values), dtype=np.bool_)
    known = position.offset + position.matrix[:, : len(chosen)] @ np.array(chosen)
    placed = known + values[:, None] * position.matrix[:, len(chosen)]
    return np.asarray((_wrapped_norm(placed[:, None] - sites) > separations).all(axis=1))


class NewOrbit(NamedTuple):
    """An orbit whose next free coordinate is chosen, in one of several crystals."""

    position: WyckoffPosition
    free: tuple[float, ...]
    """Its free coordinates, this one included."""
    separation: float
    """Minimum from its own atoms, see `min_separation`."""
    sites: Floats
    """All occupied sites in the conventional cell: shape (S, 3)."""
    separations: Floats
    """Minimum from each: shape (S,)."""


def are_apart(orbits: Sequence[NewOrbit]) -> Bools:
    """Return which orbits keep their atoms apart, and off occupied sites: shape (orbits,).

    It is what `apart_in_orbit` and, for the last free coordinate, `apart_from_others` say of a
    single value each; one after another, small arrays would take many times longer.
    """
    count = len(orbits)
    clear = np.ones(count, dtype=np.bool_)
    free = np.zeros((count, 3))
    shifts, whole = [], []
    for row, orbit in enumerate(orbits):
        free[row, : len(orbit.free)] = orbit.free
        shifts.append(_orbit_shifts(orbit.position)[len(orbit.free) - 1].wide)
        if len(orbit.free) == len(orbit.position.free_axes) and len(orbit.sites):
            whole.append(row)
    of_shift = np.repeat(np.arange(count), [len(each) for each in shifts])
    if len(of_shift):
        wide = np.concatenate(shifts)
        moved = wide[:, :, 3] + (wide[:, :, :3] * free[of_shift, None]).sum(axis=2)
        separations = np.array([orbit.separation for orbit in orbits])
        clear[of_shift[_wrapped_norm(moved) <= separations[of_shift]]] = False
    if whole:
        some = [orbits[row] for row in whole]
        of_site = np.repeat(whole, [len(orbit.sites) for orbit in some])
        matrices = np.array([_wide(orbit.position) for orbit in some])
        offsets = np.array([orbit.position.offset for orbit in some])
        placed = np.zeros((count, 3))
        placed[whole] = offsets + (matrices * free[whole, None]).sum(axis=2)
        apart = placed[of_site] - np.concatenate([orbit.sites for orbit in some])
        separations = np.concatenate([orbit.separations for orbit in some])
        clear[of_site[_wrapped_norm(apart) <= separations]] = False
    return clear


@cache
def _wide(position: WyckoffPosition) -> Floats:
    """Return the matrix of a position with zeros for missing columns."""
    return np.pad(position.matrix, ((0, 0), (0, 3 - position.matrix.shape[1])))


@cache
def _orbit_shifts(position: WyckoffPosition) -> list[_OrbitShifts]:
    """Return, for each free coordinate, the operations whose shift depends on it last."""
    rotations, translations = symmetry_operations(position.space_group)
    matrices = (rotations - np.eye(3)) @ position.matrix
    offsets = (rotations - np.eye(3)) @ position.offset + translations
    bears: Bools = np.any(abs(matrices) > _ZERO_DIFFERENCE, axis=1)
    last = np.where(bears.any(axis=1), bears.shape[1] - 1 - bears[:, ::-1].argmax(axis=1), -1)
    by_column = []
    for column in range(bears.shape[1]):
        rows = np.concatenate([matrices[last == column], offsets[last == column, :, None]], axis=2)
        # Distinct operations of a site's stabiliser may shift other sites alike.
        rows[:, :, -1] -= np.floor(rows[:, :, -1])
        rows = np.unique(np.round(rows, 9), axis=0)
        missing = np.zeros((len(rows), 3, 3 - bears.shape[1]))
        wide = np.concatenate([rows[:, :, :-1], missing, rows[:, :, -1:]], axis=2)
        by_column.append(_OrbitShifts(rows[:, :, :-1], rows[:, :, -1], wide))
    return by_column


def _wrapped_norm(moves: Floats) -> Floats:
    return np.asarray(abs(moves - np.rint(moves)).sum(axis=-1))
