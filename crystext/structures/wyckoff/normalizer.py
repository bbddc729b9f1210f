"""The equivalent choices of origin and axes of a space group's cell.

Each choice describes the same crystal in the same setting: the same operations, the same kind of
cell, but other coordinates and perhaps other Wyckoff letters. These choices form the Euclidean
normaliser of the group (International Tables for Crystallography A, chapter 3.5); for orthorhombic
groups they include exchanges of axes. Choices that would turn a crystal into its mirror image are
left out, which loses nothing if the group itself contains such operations.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.positions import symmetry_operations

_ORIGIN_DIVISIONS = 24
"""Origins are searched at the 24ths of the axes: no group has an alternative elsewhere, except
along directions in which its origin is arbitrary."""


class Normalizer(NamedTuple):
    """Equivalent choices of origin and axes: a site x becomes `rotations[i] @ x + shifts[i]`."""

    rotations: Floats
    """Shape (K, 3, 3)."""
    shifts: Floats
    """Shape (K, 3)."""
    free_origin: Floats
    """Shape (3,): 1 along axes on which the origin may lie anywhere, 0 along others."""


@cache
def euclidean_normalizer(space_group: int) -> Normalizer:
    """Return the equivalent choices of a space group's origin and axes, including the current one.

    Some of them differ only by an operation of the group.

    Raises:
        SettingError: the number is not in 1..230.
    """
    turns, moves = symmetry_operations(space_group)
    free_origin = np.diagonal(turns.mean(axis=0)).round(6)
    steps = [
        np.zeros(1) if free else np.arange(_ORIGIN_DIVISIONS) / _ORIGIN_DIVISIONS
        for free in free_origin
    ]
    origins = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    rotations, shifts = [], []
    for axes in _cell_rotations(space_group):
        inverse = np.rint(np.linalg.inv(axes))
        fitting = origins
        for turn, move in zip(turns, moves, strict=True):
            images = moves[(turns == np.rint(axes @ turn @ inverse)).all(axis=(1, 2))]
            turned = np.rint(axes @ turn @ inverse)
            moved = axes @ move + fitting @ (np.eye(3) - turned).T
            off = moved[:, None] - images
            off -= np.rint(off)
            fitting = fitting[(np.abs(off).max(axis=2, initial=0.0) < 1e-6).any(axis=1)]
            if not len(fitting):
                break
        rotations.append(np.broadcast_to(axes, (len(fitting), 3, 3)))
        shifts.append(fitting)
    return Normalizer(np.concatenate(rotations), np.concatenate(shifts), free_origin)


def _cell_rotations(space_group: int) -> list[Floats]:
    """Return the proper rotations that map a cell of the group onto one of the same kind."""
    system = crystal_system(space_group)
    signed = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    if system == "triclinic":
        return [np.eye(3)]
    if system == "monoclinic":
        return [np.eye(3), np.diag([-1.0, 1.0, -1.0])]
    if system == "tetragonal":
        signed = [m for m in signed if abs(m[2, 2]) == 1]
    elif system in ("trigonal", "hexagonal"):
        sixfold = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        twofold = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
        turns = [np.linalg.matrix_power(sixfold, n) for n in range(6)]
        signed = [*turns, *(m @ twofold for m in turns)]
    return [m for m in signed if np.linalg.det(m) > 0]
