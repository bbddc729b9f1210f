"""What keeps atoms apart: the angles a cell can have, and the places an atom can take.

All functions work on many crystals at once. Nothing here knows of text.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from crystext.crystal import Floats, Ints

Bools = NDArray[np.bool_]

CONTACT = 0.5
"""Å. No two atoms, images included, may be nearer: the limit of the field's validity test."""

MIN_ANGLE, MAX_ANGLE = 10.0, 170.0
"""Degrees. Cell angles that are drawn lie between these; reduced cells lie well inside."""

_MIN_OPENNESS = 0.01
"""Least V / abc of a cell. Its square is below sin²α sin²β for all angles within the limits."""


@cache
def least_distances(scale: float) -> Floats:
    """Return the least distance of each pair of elements in Å; shape (119, 119), by number.

    It is `scale` times the sum of the covalent radii (Cordero et al., Dalton Trans. 2008, 2832, as
    tabulated by ASE), and never below `CONTACT`. In 4,000 crystals of the Materials Project the
    smallest ratio of a distance to the sum of radii was 0.68 (Rb-Rb).
    """
    from ase.data import covalent_radii

    radii = np.zeros(119)
    radii[1:] = covalent_radii[1:119]
    table: Floats = np.maximum(scale * (radii[:, None] + radii[None, :]), CONTACT)
    return table


def angle_limits(lengths: Floats, angles: Floats, axis: int, contact: float) -> Floats:
    """Return the interval of a cell angle that closes the cell and keeps lattice points apart.

    The square of a lattice vector is linear in the cosine of each cell angle, so each lattice
    vector that is to be `contact` long bounds the angle from one side. Where these bounds leave
    nothing, only the closing of the cell is asked for.

    Args:
        lengths: Å; shape (B, 3).
        angles: degrees; shape (B, 3), of which the first `axis` are read.
        axis: 0 for alpha, 1 for beta, 2 for gamma.
        contact: least length of a lattice vector in Å; 0 for none.

    Returns:
        Lowest and highest angle in degrees; shape (B, 2).
    """
    low = np.full(len(lengths), MIN_ANGLE)
    high = np.full(len(lengths), MAX_ANGLE)
    cosines = np.cos(np.radians(angles))
    if axis == 2:
        # 1 - Σcos² + 2 Πcos >= openness², solved for cosγ.
        middle = cosines[:, 0] * cosines[:, 1]
        squares = 1.0 - cosines[:, :2] ** 2
        half = np.sqrt(np.maximum(squares.prod(axis=1) - _MIN_OPENNESS**2, 0.0))
        low = np.maximum(low, np.degrees(np.arccos(np.minimum(middle + half, 1.0))))
        high = np.minimum(high, np.degrees(np.arccos(np.maximum(middle - half, -1.0))))
    if contact > 0:
        bound_low, bound_high = _contact_limits(lengths, cosines, axis, contact)
        met = np.maximum(low, bound_low) < np.minimum(high, bound_high)
        low = np.where(met, np.maximum(low, bound_low), low)
        high = np.where(met, np.minimum(high, bound_high), high)
    return np.stack([low, high], axis=1)


def _contact_limits(
    lengths: Floats, cosines: Floats, axis: int, contact: float
) -> tuple[Floats, Floats]:
    # The angle at `axis` lies between the other two basis vectors.
    p, q = ((1, 2), (0, 2), (0, 1))[axis]
    steps = _half_of_lattice(2)
    # Vectors along the third axis are bounded only once the last angle is being chosen.
    mixed = steps[(steps[:, p] * steps[:, q] != 0) & ((axis == 2) | (steps[:, axis] == 0))]
    scaled = lengths[:, None, :] * mixed
    squares = (scaled**2).sum(axis=2)
    for other, (i, j) in enumerate(((1, 2), (0, 2), (0, 1))):
        if other < axis:
            squares = squares + 2 * scaled[:, :, i] * scaled[:, :, j] * cosines[:, None, other]
    slope = 2 * scaled[:, :, p] * scaled[:, :, q]
    bound = np.clip((contact**2 - squares) / slope, -1.0, 1.0)
    limit = np.degrees(np.arccos(bound))
    high = np.where(slope > 0, limit, 180.0).min(axis=1)
    low = np.where(slope < 0, limit, 0.0).max(axis=1)
    return low, high


def shortest_lattice_vector(lattice: Floats) -> Floats:
    """Return the length of the shortest lattice vector in Å: shape (B, 3, 3) to (B,).

    Exact where no shortest vector needs more than three steps along a basis vector, as in every
    cell whose angles lie between about 20 and 160 degrees.
    """
    vectors = _half_of_lattice(3) @ lattice
    shortest: Floats = np.sqrt((vectors**2).sum(axis=2).min(axis=1))
    return shortest


def blocked_columns(
    lattice: Floats, positions: Floats, distances: Floats, columns: Floats, grid: int
) -> Bools:
    """Tell which places along c an atom cannot take, given its x and y.

    Around each atom and each of its images lies a sphere; a line along c cuts it in an interval,
    found in closed form, so the cost does not grow with `grid`.

    Args:
        lattice: basis vectors as rows, Å; shape (B, 3, 3).
        positions: fractional coordinates of the atoms there are; shape (B, N, 3).
        distances: how far the new atom has to stay from each, Å; shape (B, N); 0 for no atom.
        columns: x and y of the new atom; shape (B, 2).
        grid: number of values of a coordinate.

    Returns:
        True where z = k / grid is too near; shape (B, grid).
    """
    rows = len(lattice)
    if positions.shape[1] == 0:
        return np.zeros((rows, grid), dtype=np.bool_)
    # A hair more than the distance, so that rounding never leaves a pair a hair too near.
    reach = np.where(distances > 0, distances + 1e-6, 0.0)
    away = columns[:, None, :] - positions[:, :, :2]
    away -= np.round(away)
    # An image n steps away lies at least (|n| - 1/2) heights off: farther ones cannot reach.
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=1)[:, :2]
    span = np.floor((reach.max(axis=1)[:, None] / heights).max(axis=0) + 0.5).clip(0, 6).astype(int)
    steps = np.array(
        [(i, j) for i in range(-span[0], span[0] + 1) for j in range(-span[1], span[1] + 1)]
    )
    offsets = (away[:, :, None, :] + steps) @ lattice[:, None, :2, :]
    along = lattice[:, 2]
    square = (along**2).sum(axis=1)[:, None, None]
    dot = np.einsum("bnsk,bk->bns", offsets, along)
    reach_square = (reach**2)[:, :, None]
    # |p + t c|² < r²: t between the roots, which exist where the discriminant is above zero.
    discriminant = dot**2 - square * ((offsets**2).sum(axis=3) - reach_square)
    row, atom, step = np.nonzero((discriminant > 0) & (reach_square > 0))
    square = square[row, 0, 0]
    half = np.sqrt(discriminant[row, atom, step]) / square
    centre = positions[row, atom, 2] - dot[row, atom, step] / square
    first = np.ceil((centre - half) * grid).astype(np.int64)
    count = np.minimum(np.floor((centre + half) * grid).astype(np.int64) - first + 1, grid)
    row, first, count = row[count > 0], first[count > 0] % grid, count[count > 0]
    width = 2 * grid + 1
    starts = np.bincount(row * width + first, minlength=rows * width)
    ends = np.bincount(row * width + first + count, minlength=rows * width)
    covered = np.cumsum((starts - ends).reshape(rows, width), axis=1) > 0
    blocked: Bools = covered[:, :grid] | covered[:, grid : 2 * grid]
    return blocked


def clearances(
    lattice: Floats, positions: Floats, distances: Floats, places: Floats
) -> Floats:
    """Return by how much places in one cell keep the asked-for distances, in Å; below 0: not.

    Args:
        lattice: basis vectors as rows, Å; shape (3, 3).
        positions: fractional coordinates of the atoms there are; shape (N, 3), N > 0.
        distances: how far to stay from each, Å; shape (N,).
        places: fractional coordinates; shape (M, 3).

    Returns:
        Smallest difference of distance found and distance asked for; shape (M,).
    """
    away = places[:, None, :] - positions
    away -= np.round(away)
    steps = np.concatenate([_half_of_lattice(2), -_half_of_lattice(2), np.zeros((1, 3))])
    vectors = (away[:, :, None, :] + steps) @ lattice
    least = np.sqrt((vectors**2).sum(axis=3).min(axis=2))
    spare: Floats = (least - distances).min(axis=1)
    return spare


@cache
def _half_of_lattice(reach: int) -> Ints:
    """Return all steps of up to `reach` along each axis but zero, one of each pair ±n."""
    axis = np.arange(-reach, reach + 1)
    steps = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    half: Ints = steps[len(steps) // 2 + 1 :]
    return half
