"""Minimum distances between atoms: the cells wide enough for them, and free positions for an atom.

This module knows nothing about text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from crystext.structures.crystal import Floats, Ints

Bools = NDArray[np.bool_]

MIN_DISTANCE = 0.5
"""Å. Minimum distance of two atoms, images included: the limit of the usual validity test."""

MIN_ANGLE, MAX_ANGLE = 10.0, 170.0
"""Degrees. Range of sampled cell angles; those of reduced cells lie well inside."""

_MIN_VOLUME_RATIO = 0.01
"""Minimum V / abc of a cell. Angles within the limits above can always reach it, since it is below
sin²10°."""

_ROUNDING = 1e-15
"""Rounding tolerance of a sum of cosines."""

_RELATIVE_ROUNDING = 1e-9
"""Relative rounding tolerance of the square of a vector."""

_PAIRS_PER_BLOCK = 1 << 18
"""Number of pairs of an atom and an image that are processed together: bounds the memory."""


@cache
def min_distances(ratio: float) -> Floats:
    """Return the minimum distance of each pair of elements in Å; shape (119, 119), by number.

    It is `ratio` times the sum of the covalent radii (Cordero et al., Dalton Trans. 2008, 2832, as
    tabulated by ASE), and never below `MIN_DISTANCE`. In 4,000 crystals of the Materials Project
    the smallest ratio of a distance to the sum of radii was 0.68 (Rb-Rb).
    """
    from ase.data import covalent_radii

    radii = np.zeros(119)
    radii[1:] = covalent_radii[1:119]
    table: Floats = np.maximum(ratio * (radii[:, None] + radii[None, :]), MIN_DISTANCE)
    return table


def is_wide_enough(
    lengths: Floats,
    cos_alpha: Floats | float,
    cos_beta: Floats | float,
    cos_gamma: Floats | float,
    min_height: float,
) -> Bools:
    """Return for which angles a cell of these lengths is wide enough.

    Its volume must be at least 1% of the box of its lengths, V >= 0.01 abc, and each of its
    heights, V over the area of a face, at least `min_height`. A lattice vector with n steps along
    some axis spans n of that axis's heights, so no lattice vector is shorter than `min_height`.

    Args:
        lengths: Å; shape (..., 3), where ... broadcasts with the cosines.
        cos_alpha, cos_beta, cos_gamma: cosines of the angles; of one shape, or single numbers.
        min_height: Å; 0 for none.

    Returns:
        True where the cell is wide enough; of the shape of the cosines.
    """
    squares = (cos_alpha * cos_alpha, cos_beta * cos_beta, cos_gamma * cos_gamma)
    volume_ratio_squared = unit_volume_squared(cos_alpha, cos_beta, cos_gamma)
    least: Floats | float = _MIN_VOLUME_RATIO**2
    for length, square in zip(np.moveaxis(lengths, -1, 0), squares, strict=True):
        # The face opposite to a, say, has the area b c sinα: its height is a V/(abc) / sinα.
        least = np.maximum(least, (min_height / length) ** 2 * (1.0 - square))
    return np.asarray(volume_ratio_squared >= least - _ROUNDING)


def unit_volume_squared(
    cos_alpha: Floats | float, cos_beta: Floats | float, cos_gamma: Floats | float
) -> Floats | float:
    """Return the square of V / abc of cells with these angles; below 0 if they form no cell."""
    squares = cos_alpha * cos_alpha + cos_beta * cos_beta + cos_gamma * cos_gamma
    return 1.0 - squares + 2.0 * cos_alpha * cos_beta * cos_gamma


def images_are_apart(
    lengths: Floats,
    cos_alpha: Floats | float,
    cos_beta: Floats | float,
    cos_gamma: Floats | float,
    min_distance: float,
) -> Bools:
    """Return for which angles a cell is wide enough, with no lattice vector below `min_distance`.

    Heights may be lower than that, down to 0.7 of it, as in reduced cells, where no height is below
    1/sqrt(2) of the shortest vector. A vector of two steps along some axis is then long enough, so
    only vectors of at most one step are checked.

    Args:
        lengths: Å, each at least `min_distance`; shape (..., 3), where ... broadcasts with the
            cosines.
        cos_alpha, cos_beta, cos_gamma: cosines of the angles; of one shape, or single numbers.
        min_distance: Å; 0 for none.

    Returns:
        Of the shape of the cosines.
    """
    low = is_wide_enough(lengths, cos_alpha, cos_beta, cos_gamma, 0.7 * min_distance)
    if min_distance == 0:
        return low
    doubtful = low & ~is_wide_enough(lengths, cos_alpha, cos_beta, cos_gamma, min_distance)
    if doubtful.any():
        cosines = (cos_alpha, cos_beta, cos_gamma)
        abc = [np.broadcast_to(x, low.shape)[doubtful] for x in np.moveaxis(lengths, -1, 0)]
        angles = [np.broadcast_to(x, low.shape)[doubtful] for x in cosines]
        low[doubtful] = _shortest_step(abc, angles) >= min_distance**2 * (1.0 - _RELATIVE_ROUNDING)
    return low


def _shortest_step(abc: list[Floats], cosines: list[Floats]) -> Floats:
    """Return the minimum square of a lattice vector of one step along two or three axes, in Å²."""
    (a, b, c), (cos_alpha, cos_beta, cos_gamma) = abc, cosines
    squares = a * a + b * b, a * a + c * c, b * b + c * c
    ab, ac, bc = 2 * a * b * cos_gamma, 2 * a * c * cos_beta, 2 * b * c * cos_alpha
    pairs = [squares[0] - abs(ab), squares[1] - abs(ac), squares[2] - abs(bc)]
    whole = squares[0] + c * c
    # The signs of two axes relative to the third: all four body diagonals.
    crossings = [whole + x * ab + y * ac + x * y * bc for x in (-1, 1) for y in (-1, 1)]
    return np.asarray(np.minimum.reduce([*pairs, *crossings]))


def minkowski_reduce(lattice: Floats) -> Floats:
    """Return the Minkowski-reduced basis of each lattice, the shortest, by increasing length.

    Its first vector is a shortest lattice vector. If the coordinates of a point in it lie in
    [-1/2, 1/2], those of the nearest lattice point are -1, 0 or 1.
    Source: the greedy algorithm of Semaev, CaLC 2001, and Nguyen and Stehlé, ANTS 2004.

    Args:
        lattice: basis vectors as rows, Å; shape (B, 3, 3).
    """
    basis = lattice
    squares = (basis**2).sum(axis=2)
    while True:
        order = np.argsort(squares, axis=1)[:, :, None]
        a, b, c = np.moveaxis(np.take_along_axis(basis, order, axis=1), 1, 0)
        aa, ab = (a * a).sum(axis=1), (a * b).sum(axis=1)
        b = b - np.round(ab / aa)[:, None] * a
        # The lattice point of a and b nearest to c: close to the projection of c on their plane.
        ab, bb = (a * b).sum(axis=1), (b * b).sum(axis=1)
        ac, bc = (a * c).sum(axis=1), (b * c).sum(axis=1)
        area = aa * bb - ab**2
        c = c - np.round((ac * bb - bc * ab) / area)[:, None] * a
        c = c - np.round((bc * aa - ac * ab) / area)[:, None] * b
        near = c[:, None] + _NEIGHBOURS_2D[:, :1] * a[:, None] + _NEIGHBOURS_2D[:, 1:] * b[:, None]
        nearest = (near**2).sum(axis=2).argmin(axis=1)
        basis = np.stack([a, b, near[np.arange(len(near)), nearest]], axis=1)
        before, squares = np.sort(squares, axis=1), (basis**2).sum(axis=2)
        if not (squares < (1 - 1e-9) * before).any():
            return np.asarray(basis)


def shortest_lattice_vector(lattice: Floats) -> Floats:
    """Return the length of the shortest lattice vector in Å: shape (B, 3, 3) to (B,)."""
    return np.asarray(np.linalg.norm(minkowski_reduce(lattice)[:, 0], axis=1))


def blocked_z(
    lattice: Floats, positions: Floats, distances: Floats, xy: Floats, grid: int
) -> Bools:
    """Return which values of z are blocked for an atom, given its x and y.

    Around each atom and each of its images lies a sphere; a line along c cuts it in an interval,
    computed in closed form, so the cost hardly grows with `grid`. It grows with the number of
    images in range: with the square of distance over height of the cell, which `is_wide_enough`
    keeps low.

    Args:
        lattice: basis vectors as rows, Å; shape (B, 3, 3).
        positions: fractional coordinates of the existing atoms; shape (B, N, 3).
        distances: minimum distance of the new atom from each, Å; shape (B, N); 0 for padding.
        xy: x and y of the new atom; shape (B, 2).
        grid: number of values of a coordinate.

    Returns:
        True where z = k / grid is too near; shape (B, grid).
    """
    blocked = np.zeros((len(lattice), grid), dtype=np.bool_)
    found = _blocked_intervals(lattice, positions, distances, xy, grid)
    for rows, row, first, count in found:
        blocked[rows] = _interval_union(len(rows), row, first, count, grid)
    return blocked


def has_free_z(
    lattice: Floats, positions: Floats, distances: Floats, xy: Floats, grid: int
) -> Bools:
    """Return which columns have a z that `blocked_z` leaves free: shape (B,)."""
    free = np.ones(len(lattice), dtype=np.bool_)
    found = _blocked_intervals(lattice, positions, distances, xy, grid)
    for rows, row, first, count in found:
        # Columns whose intervals are too short in total to fill them need no further check.
        full = np.bincount(row, weights=count, minlength=len(rows)) >= grid
        kept = full[row]
        place = np.cumsum(full) - 1
        union = _interval_union(int(full.sum()), place[row[kept]], first[kept], count[kept], grid)
        free[rows[full]] = ~union.all(axis=1)
    return free


def _blocked_intervals(
    lattice: Floats, positions: Floats, distances: Floats, xy: Floats, grid: int
) -> Iterator[tuple[Ints, Ints, Ints, Ints]]:
    """Yield rows in chunks, with blocked intervals: row in the chunk, first grid point, count."""
    atoms = positions.shape[1]
    if atoms == 0:
        return
    # Slightly more than the distance, so that rounding never leaves a pair too near.
    reach = np.where(distances > 0, distances + 1e-6, 0.0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=1)[:, :2]
    # An image n steps away is at least (|n| - 1/2) heights away: farther ones are out of range.
    spans = np.floor(reach.max(axis=1)[:, None] / heights + 0.5).astype(np.int64)
    for i, j in np.unique(spans, axis=0).tolist():
        steps = _integer_steps(i, j)
        same = np.nonzero((spans == (i, j)).all(axis=1))[0]
        size = max(1, _PAIRS_PER_BLOCK // (atoms * len(steps)))
        for start in range(0, len(same), size):
            rows = same[start : start + size]
            away = xy[rows, None, :] - positions[rows, :, :2]
            away -= np.round(away)
            offsets = (away[:, :, None, :] + steps) @ lattice[rows, None, :2, :]
            z = positions[rows, :, 2]
            yield rows, *_sphere_intervals(offsets, lattice[rows, 2], z, reach[rows], grid)


def _sphere_intervals(
    offsets: Floats, along: Floats, z: Floats, reach: Floats, grid: int
) -> tuple[Ints, Ints, Ints]:
    """Return the intervals of lines along c inside spheres: row, first grid point, count.

    Args:
        offsets: from a sphere's centre to the point of the line at the centre's z, Å; (B, N,
            images, 3).
        along: the basis vector c, Å; (B, 3).
        z: fractional z of the centres; (B, N).
        reach: radii, Å; (B, N).
        grid: number of grid points.
    """
    square = (along**2).sum(axis=1)[:, None, None]
    dot = (offsets @ along[:, None, :, None])[..., 0]
    reach_square = (reach**2)[:, :, None]
    # |p + t c|² < r²: t between the roots, which exist where the discriminant is above zero.
    discriminant = dot**2 - square * ((offsets**2).sum(axis=3) - reach_square)
    row, atom, step = np.nonzero((discriminant > 0) & (reach_square > 0))
    square = square[row, 0, 0]
    half = np.sqrt(discriminant[row, atom, step]) / square
    centre = z[row, atom] - dot[row, atom, step] / square
    first = np.ceil((centre - half) * grid).astype(np.int64)
    count = np.minimum(np.floor((centre + half) * grid).astype(np.int64) - first + 1, grid)
    some = count > 0
    return row[some], first[some] % grid, count[some]


def _interval_union(rows: int, row: Ints, first: Ints, count: Ints, grid: int) -> Bools:
    """Return the grid points that intervals cover; intervals beyond the end wrap around."""
    width = 2 * grid + 1
    starts = np.bincount(row * width + first, minlength=rows * width)
    ends = np.bincount(row * width + first + count, minlength=rows * width)
    covered = np.cumsum((starts - ends).reshape(rows, width), axis=1) > 0
    return np.asarray(covered[:, :grid] | covered[:, grid : 2 * grid])


def clearances(lattice: Floats, positions: Floats, distances: Floats, points: Floats) -> Floats:
    """Return by how much points in one cell exceed the required distances, in Å; below 0 if not.

    Args:
        lattice: basis vectors as rows, Å; shape (3, 3).
        positions: fractional coordinates of the existing atoms; shape (N, 3), N > 0.
        distances: required distance from each, Å; shape (N,).
        points: fractional coordinates; shape (M, 3).

    Returns:
        Smallest difference of actual and required distance; shape (M,).
    """
    basis = minkowski_reduce(lattice[None])[0]
    spare = np.full(len(points), np.inf)
    for position, distance in zip(positions, distances.tolist(), strict=True):
        away = (points - position) @ lattice @ np.linalg.inv(basis)
        away -= np.round(away)
        images = (away @ basis)[:, None] + _NEIGHBOURS_3D @ basis
        nearest = np.sqrt((images**2).sum(axis=2).min(axis=1))
        spare = np.minimum(spare, nearest - distance)
    return spare


def image_distances(lattice: Floats, points: Floats, positions: Floats) -> Floats:
    """Return the distance of a point from the nearest image of each atom, in many cells.

    Args:
        lattice: basis vectors as rows, Å; shape (B, 3, 3).
        points: fractional coordinates; shape (B, 3).
        positions: fractional coordinates of the atoms; shape (B, N, 3).

    Returns:
        Å; shape (B, N).
    """
    basis = minkowski_reduce(lattice)
    away = (positions - points[:, None]) @ lattice @ np.linalg.inv(basis)
    away -= np.round(away)
    images = (away @ basis)[:, :, None] + (_NEIGHBOURS_3D @ basis)[:, None]
    distances: Floats = np.sqrt((images**2).sum(axis=3).min(axis=2))
    return distances


def pair_distances(lattice: Floats, positions: Floats) -> Floats:
    """Return the distances of all atoms from the nearest images of each other, and of themselves.

    Args:
        lattice: basis vectors as rows, Å; shape (3, 3).
        positions: fractional coordinates; shape (N, 3).

    Returns:
        Å; shape (N, N). The diagonal is the shortest lattice vector.
    """
    basis = minkowski_reduce(lattice[None])[0]
    away = (positions[None] - positions[:, None]) @ lattice @ np.linalg.inv(basis)
    away -= np.round(away)
    images = (away @ basis)[:, :, None] + _NEIGHBOURS_3D @ basis
    found: Floats = np.sqrt((images**2).sum(axis=3).min(axis=2))
    np.fill_diagonal(found, np.linalg.norm(basis[0]))
    return found


def has_min_distances(lattice: Floats, positions: Floats, numbers: Ints, ratio: float) -> bool:
    """Return whether all atoms of a crystal, images included, keep the minimum distances.

    Args:
        lattice: basis vectors as rows, Å; shape (3, 3).
        positions: fractional coordinates; shape (N, 3).
        numbers: atomic numbers; shape (N,).
        ratio: see `min_distances`; 0 lets all pass.
    """
    if ratio == 0:
        return True
    found = pair_distances(lattice, positions)
    wanted = min_distances(ratio)[numbers[:, None], numbers]
    return bool((found >= wanted - 1e-6).all())


def _integer_steps(*reach: int) -> Ints:
    """Return all steps of up to so many along each axis, one per row."""
    counted = np.indices([2 * n + 1 for n in reach]).reshape(len(reach), -1).T
    return np.asarray(counted - np.array(reach))


_NEIGHBOURS_2D = _integer_steps(1, 1)
"""Steps to the neighbours in a plane, and the zero step."""

_NEIGHBOURS_3D = _integer_steps(1, 1, 1)
"""Steps to the neighbours in space, and the zero step."""
