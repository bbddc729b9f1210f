"""Distances of many rows to many others, by one matrix product.

    |a - b|² = |a|² + |b|² - 2 a·b

What goes wrong otherwise: distances pair by pair take ten times as long. What goes wrong with it:
where a and b are nearly equal, their squares cancel, with an error of 1e-7 of their size. So the
product finds the nearest rows, and their distances are recomputed exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats, Ints

_BLOCK_ROWS = 512
"""Number of rows whose distances to all others are in memory at once."""


class NearestDistances(NamedTuple):
    """Smallest distances; inf if the other set is empty."""

    of_rows: Floats
    of_columns: Floats


def nearest_distances(a: Floats, b: Floats) -> NearestDistances:
    """Return the distance of each row of a to the nearest of b, and of each of b to that of a.

    Args:
        a: shape (N, numbers), all finite.
        b: shape (M, numbers), all finite.
    """
    if not len(a) or not len(b):
        return NearestDistances(np.full(len(a), np.inf), np.full(len(b), np.inf))
    of_a, of_b = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64)
    least = np.full(len(b), np.inf)
    for start, squares in _squared_distances(a, b):
        of_a[start : start + len(squares)] = squares.argmin(axis=1)
        rows = squares.argmin(axis=0)
        found = squares[rows, np.arange(len(b))]
        nearer = found < least
        of_b[nearer], least[nearer] = start + rows[nearer], found[nearer]
    return NearestDistances(_row_distances(a, b, of_a), _row_distances(b, a, of_b))


def mean_distance(rows: Floats) -> float:
    """Return the mean distance of all pairs of different rows; nan for fewer than two."""
    n = len(rows)
    if n < 2:
        return float("nan")
    total = 0.0
    for start, squares in _squared_distances(rows, rows):
        # A row's distance to itself is 0, whatever rounding leaves.
        here = np.arange(len(squares))
        squares[here, start + here] = 0.0
        total += float(np.sqrt(squares).sum())
    return total / (n * (n - 1))


def _squared_distances(a: Floats, b: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield squared distances of some rows of a to all of b, with the index of the first row."""
    middle = b.mean(axis=0)
    a, b = a - middle, b - middle
    of_b = np.einsum("ij,ij->i", b, b)
    for start in range(0, len(a), _BLOCK_ROWS):
        part = a[start : start + _BLOCK_ROWS]
        squares = part @ (-2 * b.T)
        squares += np.einsum("ij,ij->i", part, part)[:, None]
        squares += of_b
        yield start, np.maximum(squares, 0.0, out=squares)


def _row_distances(rows: Floats, others: Floats, chosen: Ints) -> Floats:
    distances: Floats = np.linalg.norm(rows - others[chosen], axis=1)
    return distances
