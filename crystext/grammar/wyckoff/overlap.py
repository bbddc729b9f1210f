"""Which coordinates keep an orbit off the positions of higher symmetry, and off other orbits.

A coordinate is ruled out where it would merge atoms of its own orbit or lay one upon an atom that
is there. Two sites are apart if their fractional coordinates differ, summed over the axes and up to
whole translations, by more than a given share: with lengths below `text.formats.MAX_LENGTH` and
whatever angles, atoms are no farther apart than that share of `MAX_LENGTH`. So what is ruled out at
a share of the least distance over `MAX_LENGTH` has no cell that the text could hold; nothing else
is.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools
from crystext.structures.wyckoff.positions import WyckoffPosition, symmetry_operations
from crystext.text.formats import MAX_LENGTH

_ZERO_DIFFERENCE = 1e-6
"""Below this a difference is none."""


def min_separation(distance: float, decimals: int) -> float:
    """Return by which share of the cell sites have to differ.

    Args:
        distance: Å; 0 where any will do.
        decimals: of the coordinates. Sites that differ by one unit of the last or less may be the
            same, one being rounded: 0.333 stands for 1/3.
    """
    return max(distance / MAX_LENGTH, _rounding_separation(decimals))


def _rounding_separation(decimals: int) -> float:
    return 1.5 * 10.0**-decimals


class _OrbitShifts(NamedTuple):
    """By how much the operations move a site: `matrices @ free + offsets`, one row each."""

    matrices: Floats
    """Shape (G, 3, number of free coordinates)."""
    offsets: Floats
    """Shape (G, 3)."""


def apart_in_orbit(
    position: WyckoffPosition, chosen: list[float], values: Floats, separation: float
) -> Bools:
    """Tell which values of the next free coordinate keep all atoms of the orbit apart.

    Operations that move a site by what depends on later coordinates are left to those.

    Args:
        position: of the orbit.
        chosen: its free coordinates that are chosen.
        values: shape (V,).
        separation: how far to stay, see `min_separation`.

    Returns:
        Shape (V,).
    """
    column = len(chosen)
    matrices, offsets = _orbit_shifts(position)[column]
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
    """Tell which values of the last free coordinate keep an orbit off sites that are taken.

    Args:
        position: of the orbit.
        chosen: all its free coordinates but the last.
        values: shape (V,).
        sites: all that are taken in the conventional cell; shape (S, 3).
        separations: how far to stay from each, see `min_separation`; shape (S,).

    Returns:
        Shape (V,).
    """
    if not len(sites):
        return np.ones(len(values), dtype=np.bool_)
    known = position.offset + position.matrix[:, : len(chosen)] @ np.array(chosen)
    placed = known + values[:, None] * position.matrix[:, len(chosen)]
    return np.asarray((_wrapped_norm(placed[:, None] - sites) > separations).all(axis=1))


@cache
def _orbit_shifts(position: WyckoffPosition) -> list[_OrbitShifts]:
    """Return, for each free coordinate, the operations whose move it is the last to bear on."""
    rotations, translations = symmetry_operations(position.space_group)
    matrices = (rotations - np.eye(3)) @ position.matrix
    offsets = (rotations - np.eye(3)) @ position.offset + translations
    bears: Bools = np.any(abs(matrices) > _ZERO_DIFFERENCE, axis=1)
    last = np.where(bears.any(axis=1), bears.shape[1] - 1 - bears[:, ::-1].argmax(axis=1), -1)
    by_column = []
    for column in range(bears.shape[1]):
        rows = np.concatenate([matrices[last == column], offsets[last == column, :, None]], axis=2)
        # Operations of a site's stabiliser differ, yet move others alike.
        rows[:, :, -1] -= np.floor(rows[:, :, -1])
        rows = np.unique(np.round(rows, 9), axis=0)
        by_column.append(_OrbitShifts(rows[:, :, :-1], rows[:, :, -1]))
    return by_column


def _wrapped_norm(moves: Floats) -> Floats:
    return np.asarray(abs(moves - np.rint(moves)).sum(axis=-1))
