"""Derive the Wyckoff positions of a space group from its operations.

    python -m crystext.structures.wyckoff.derivation > positions.json

A site's stabiliser is the set of operations, with integer translations, that fix it. The mean of
these operations projects space onto the points that all of them fix: a point, a line, a plane or
all of space. Wyckoff positions are the classes of such sets under the group (International Tables
for Crystallography A, section 1.4.4). They are found as the fixed points of single operations, and
the intersections of these. Letters are those that spglib assigns to atoms placed there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_names
from crystext.structures.wyckoff.positions import AXES, hall_number, symmetry_operations

_GENERIC_SITE = np.array([0.1234567, 0.2718282, 0.3819660])
"""Generic coordinates: no operation fixes them by chance."""

_TOLERANCE = 1e-5
_STEPS = np.indices((5, 5, 5)).reshape(3, -1).T - 2

Flat = tuple[Floats, Floats]
"""A point, line, plane or all of space: the points x = P x + t of a projection P, offset t."""

_Key = tuple[tuple[int, ...], tuple[int, ...]]


def derive_positions(space_group: int) -> list[tuple[str, int, str]]:
    """Return letter, multiplicity and representative site of each Wyckoff position, by letter."""
    known = _classes(space_group)
    letters = _letters(space_group, known)
    rows = [
        (letters[key], len(_orbit(_generic_point(flat), space_group)), _triplet(flat, space_group))
        for key, flat in known.items()
    ]
    return sorted(rows, key=lambda row: row[0].replace("A", "~"))


def _classes(space_group: int) -> dict[_Key, Flat]:
    """Return a flat of each class."""
    singles = list(_flats_of_single_operations(space_group))
    everywhere = (np.eye(3), np.zeros(3))
    known = {_class_key(everywhere, space_group): everywhere}
    fresh: list[Flat] = []

    def take(flats: list[Flat]) -> None:
        for flat in flats:
            key = _class_key(flat, space_group)
            if key not in known:
                known[key] = flat
                fresh.append(flat)

    take(singles)
    while fresh:
        take(_intersections(fresh.pop(), singles, space_group))
    return known


def _flats_of_single_operations(space_group: int) -> Iterator[Flat]:
    whole = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    points = []
    for rotation, translation in zip(*symmetry_operations(space_group), strict=True):
        moves = rotation - np.eye(3)
        if moves.any():
            points.append(_solutions(moves, -(translation + whole)))
    if points:
        yield from _flats_through(np.concatenate(points), space_group)


def _intersections(flat: Flat, others: list[Flat], space_group: int) -> list[Flat]:
    """Return the intersections of a flat with each of the others that are not empty."""
    projections = np.array([projection for projection, _ in others])
    offsets = np.array([offset for _, offset in others])
    equations = np.concatenate(
        [np.broadcast_to(np.eye(3) - flat[0], projections.shape), np.eye(3) - projections], axis=1
    )
    values = np.concatenate([np.broadcast_to(flat[1], offsets.shape), offsets], axis=1)
    inverse = np.linalg.pinv(equations, rcond=1e-8)
    solved = np.einsum("kij,kj->ki", inverse, values)
    off = np.einsum("kij,kj->ki", equations, solved) - values
    points = solved + (np.eye(3) - inverse @ equations) @ _GENERIC_SITE
    there = np.abs(off).max(axis=1) < _TOLERANCE
    return list(_flats_through(points[there], space_group)) if there.any() else []


def _solutions(moves: Floats, shifts: Floats) -> Floats:
    """Return a generic point of each nonempty set of solutions of `moves @ x = shift`."""
    inverse = np.linalg.pinv(moves)
    solved = shifts @ inverse.T
    there = np.abs(solved @ moves.T - shifts).max(axis=1) < _TOLERANCE
    return np.asarray(solved[there] + (np.eye(3) - inverse @ moves) @ _GENERIC_SITE)


def _flats_through(points: Floats, space_group: int) -> Iterator[Flat]:
    """Yield the flat that each point's stabiliser fixes, each flat once."""
    rotations, translations = symmetry_operations(space_group)
    points = np.unique(np.round(points, 9), axis=0)
    moved = np.einsum("mij,kj->kmi", rotations, points) + translations
    whole = np.rint(points[:, None] - moved)
    same = np.abs(moved + whole - points[:, None]).max(axis=2) < _TOLERANCE
    order = same.sum(axis=1)
    projections = np.einsum("km,mij->kij", same, rotations) / order[:, None, None]
    offsets = np.einsum("km,kmi->ki", same, translations + whole) / order[:, None]
    rows = np.concatenate([_twelfths(projections).reshape(-1, 9), _forty_eighths(offsets)], axis=1)
    for i in np.unique(rows, axis=0, return_index=True)[1]:
        yield projections[i], offsets[i]


def _images(flat: Flat, space_group: int) -> tuple[Floats, Floats]:
    """Return the images of a flat under the group's operations."""
    rotations, translations = symmetry_operations(space_group)
    projections = rotations @ flat[0] @ np.rint(np.linalg.inv(rotations))
    fixed = np.einsum("mij,mj->mi", projections, translations)
    return projections, rotations @ flat[1] + translations - fixed


def _class_key(flat: Flat, space_group: int) -> _Key:
    """Return a key that all flats of a class share, and no other flat has."""
    projections, offsets = _images(flat, space_group)
    names = list(map(tuple, _twelfths(projections).reshape(-1, 9).tolist()))
    first = min(names)
    rows = [i for i, name in enumerate(names) if name == first]
    across = (np.eye(3) - projections[rows[0]]).T
    # Integer translations move the offset; those left after reducing to the nearest are tried.
    near = offsets[rows] - np.rint(offsets[rows]) @ across
    moved = _forty_eighths((near[:, None] + _STEPS @ across).reshape(-1, 3))
    best = min(moved.tolist(), key=lambda row: (sum(map(abs, row)), row))
    return first, tuple(best)


def _letters(space_group: int, positions: dict[_Key, Flat]) -> dict[_Key, str]:
    """Return the letter that spglib gives to each class, from crystals with atoms on it.

    Atoms on two general positions prevent a higher symmetry.
    """
    import spglib

    lengths = {"a": 6.1, "b": 7.3, "c": 8.9, "alpha": 83.0, "beta": 103.0, "gamma": 97.0}
    cell = cell_parameters(
        space_group, [lengths[name] for name in free_parameter_names(space_group)]
    )
    lattice = basis_vectors(*(x[None] for x in cell))[0]
    general = [
        _orbit(np.array(site), space_group)
        for site in ((0.0713, 0.1931, 0.3377), (0.2219, 0.4133, 0.0467))
    ]
    letters: dict[_Key, str] = {}
    for flat in positions.values():
        sites = [*general, _orbit(_generic_point(flat), space_group)]
        numbers = np.repeat([1, 2, 3], [len(x) for x in sites])
        crystal: Any = (lattice, np.concatenate(sites), numbers)
        dataset: Any = spglib.get_symmetry_dataset(
            crystal, symprec=1e-4, hall_number=hall_number(space_group)
        )
        assert dataset is not None
        # spglib may choose another of several origins that are alike.
        first = int(np.flatnonzero(numbers == 3)[0])
        seen = dataset.transformation_matrix @ crystal[1][first] + dataset.origin_shift
        (there,) = _flats_through(seen[None], space_group)
        letters[_class_key(there, space_group)] = dataset.wyckoffs[first]
    return letters


def _generic_point(flat: Flat) -> Floats:
    return np.asarray(flat[0] @ np.array([0.1137, 0.2351, 0.0853]) + flat[1])


def _orbit(site: Floats, space_group: int) -> Floats:
    rotations, translations = symmetry_operations(space_group)
    sites = np.round((rotations @ site + translations) % 1.0, 6) % 1.0
    return np.unique(sites, axis=0)


def _triplet(flat: Flat, space_group: int) -> str:
    """Return the simplest site of the class, written as in the Tables: x,2x,1/4."""
    texts = {_format_site(p, t) for p, t in zip(*_images(flat, space_group), strict=True)}
    return min(texts)[1]


def _format_site(projection: Floats, offset: Floats) -> tuple[float, str]:
    """Return a site as a triplet, and how complicated it is."""
    free: list[int] = []
    for axis in range(3):
        if np.linalg.matrix_rank(projection[[*free, axis]], tol=1e-6) > len(free):
            free.append(axis)
    matrix = projection @ np.linalg.pinv(projection[free]) if free else np.zeros((3, 0))
    rest = offset - matrix @ offset[free]
    texts, cost = [], 0.0
    for axis in range(3):
        text = ""
        for column, source in enumerate(free):
            factor = Fraction(matrix[axis, column]).limit_denominator(12)
            if factor:
                size = "" if abs(factor) == 1 else str(abs(factor))
                text += ("-" if factor < 0 else "+" if text else "") + size + AXES[source]
                cost += 1 + 2 * (factor < 0) + 3 * (abs(factor) != 1)
                cost += 5 * (factor.denominator != 1)
        # Integer translations bring it into the cell.
        fixed = Fraction(rest[axis]).limit_denominator(48) % 1 if axis not in free else Fraction(0)
        if fixed:
            text += ("+" if text else "") + str(fixed)
            cost += 3 + 0.1 * fixed.denominator + float(fixed)
        texts.append(text or "0")
    return cost, ",".join(texts)


def _twelfths(values: Floats) -> NDArray[np.int64]:
    return np.rint(values * 12).astype(np.int64)


def _forty_eighths(values: Floats) -> NDArray[np.int64]:
    return np.rint(values * 48).astype(np.int64)


if __name__ == "__main__":
    rows = (
        f' "{number}": {json.dumps(derive_positions(number), separators=(",", ":"))}'
        for number in range(1, 231)
    )
    sys.stdout.write("{\n" + ",\n".join(rows) + "\n}\n")
