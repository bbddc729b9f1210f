"""What the operations of a space group say of a cell that is partly known: a = b, angles of 90.

The scalar products of the cell vectors, g = (g_11, g_22, g_33, g_23, g_13, g_12), keep under every
operation W: W^T g W = g. Those that do form a linear space, in which known lengths and angles are
linear conditions: g_ii = a_i^2, and g_ij = a_i a_j cos(angle) where both lengths are known or the
angle is 90 degrees.
"""

from __future__ import annotations

import numpy as np

from crystext.structures.crystal import Floats

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

_GENERIC_METRICS = (
    np.array([1.03, 1.31, 1.77, -0.07, -0.05, -0.11]),
    np.array([0.91, 1.47, 2.03, 0.06, -0.13, -0.04]),
)
"""Of two cells of no symmetry; what both share after symmetry is imposed follows from it."""


def consistent_cells(
    rotations: Floats, lengths: Floats, angles: Floats, tolerance: float
) -> tuple[tuple[Floats, Floats], ...]:
    """Return two cells that the operations keep, with the known lengths and angles.

    What is the same in both follows from what is known.

    Args:
        rotations: matrices that act on columns of fractional coordinates; shape (G, 3, 3).
        lengths: Å; shape (3,). nan where not known.
        angles: degrees; shape (3,). nan where not known.
        tolerance: largest misfit of a scalar product, over the product of the lengths.

    Returns:
        Two pairs of lengths and angles; none if what is known contradicts the operations.
    """
    known = lengths[np.isfinite(lengths)]
    scale = float((known**2).mean()) if len(known) else 30.0
    kept = _invariant_metrics(rotations)
    rows, values = _conditions(lengths, angles)
    system, wanted = rows @ kept, values / scale
    inverse = np.linalg.pinv(system, rcond=1e-9)
    cells = []
    for generic in _GENERIC_METRICS:
        start = kept.T @ generic
        found = start + inverse @ (wanted - system @ start)
        if np.abs(system @ found - wanted).max(initial=0.0) > tolerance:
            return ()
        metric = np.zeros((3, 3))
        for (i, j), value in zip(_PAIRS, kept @ found, strict=True):
            metric[i, j] = metric[j, i] = value * scale
        if np.linalg.eigvalsh(metric).min() <= 1e-6 * scale:
            return ()
        sides = np.sqrt(np.diagonal(metric))
        cosines = metric / np.outer(sides, sides)
        corners = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
        cells.append((sides, corners))
    return tuple(cells)


def fill_tied(
    lengths: Floats, angles: Floats, cells: tuple[tuple[Floats, Floats], ...]
) -> tuple[Floats, Floats]:
    """Return lengths and angles with those that follow from the known ones filled in."""
    (a, alpha), (b, beta) = cells
    return (
        np.where(np.isnan(lengths) & (np.abs(a - b) < 1e-6), np.round(a, 9), lengths),
        np.where(np.isnan(angles) & (np.abs(alpha - beta) < 1e-6), np.round(alpha, 9), angles),
    )


def _invariant_metrics(rotations: Floats) -> Floats:
    """Return an orthonormal basis of the metrics that operations keep: shape (6, K)."""
    columns = []
    for i, j in _PAIRS:
        unit = np.zeros((3, 3))
        unit[i, j] = unit[j, i] = 1.0
        mean = np.einsum("gai,ab,gbj->ij", rotations, unit, rotations) / len(rotations)
        columns.append([mean[pair] for pair in _PAIRS])
    left, sizes, _ = np.linalg.svd(np.array(columns).T)
    return np.asarray(left[:, sizes > 1e-9])


def _conditions(lengths: Floats, angles: Floats) -> tuple[Floats, Floats]:
    """Return the linear conditions that known values set: rows (C, 6) and values (C,)."""
    rows, values = [], []
    for axis in np.flatnonzero(np.isfinite(lengths)).tolist():
        rows.append(np.eye(6)[axis])
        values.append(lengths[axis] ** 2)
    for axis in np.flatnonzero(np.isfinite(angles)).tolist():
        i, j = _PAIRS[3 + axis]
        cosine = float(np.cos(np.radians(angles[axis])))
        both = lengths[i] * lengths[j]
        if np.isfinite(both) or abs(cosine) < 1e-9:
            rows.append(np.eye(6)[3 + axis])
            values.append(both * cosine if np.isfinite(both) else 0.0)
    return np.array(rows).reshape(-1, 6), np.array(values)
