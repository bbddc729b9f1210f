"""The pairs of atoms that bound a cell, and their distances as sums of terms in its parameters.

The square of a distance is q g: q holds the squares and products of the fractional differences,
g the squares a², b², c² and the products 2bc cosα, 2ac cosβ, 2ab cosγ. Here q is divided by the
square of the minimum distance of the pair, so that the pair is far enough apart if q g >= 1, and
terms of parameters that are equal by symmetry are added up. If no term of g can be negative, a pair
with smaller q in all terms makes another one redundant, and few pairs remain.
"""

from __future__ import annotations

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools

_ZERO_DIFFERENCE = 1e-6
"""Fractional; smaller differences count as zero."""

_TOLERANCE = 1e-9
MAX_BETA = 150.0
"""Degrees. β of a monoclinic cell lies between 90 and this; no crystal of MP-20 val has more than
135 in the standard setting, and with more a shorter c could be chosen."""

_BLOCK_ROWS = 16
"""Rows that are compared with all others together."""

_MAX_SLOPE = float((2.0 * np.cos(np.radians(MAX_BETA))) ** 2)

_IMAGE_STEPS = np.indices((3, 3, 3)).reshape(3, -1).T - 1

_OBLIQUE_AXES = {
    "monoclinic": (True, False, True),
    "trigonal": (True, True, False),
    "hexagonal": (True, True, False),
    "triclinic": (True, True, True),
}
"""Axes that are not at right angles: along these, the nearest image may be one translation away
from the one with the smallest coordinates."""


def contact_terms(
    system: str, sites: list[Floats], numbers: list[int], least_distances: Floats
) -> Floats:
    """Return the terms of all pairs that may bound the cell: shape (pairs, terms).

    The terms are those of

        cubic                   a²
        tetragonal, hexagonal   a², c²          (and trigonal)
        orthorhombic            a², b², c²
        monoclinic              a², b², c², -2ac cosβ, where β is not acute
        triclinic               a², b², c², 2bc cosα, 2ac cosβ, 2ab cosγ

    Args:
        system: crystal system.
        sites: of each orbit in the conventional cell, the representative first; shape (m, 3) each.
        numbers: atomic number of each orbit.
        least_distances: of elements, Å, see `distances.min_distances`; shape (119, 119).
    """
    steps = _IMAGE_STEPS[
        (~(_IMAGE_STEPS != 0) | _OBLIQUE_AXES.get(system, (False,) * 3)).all(axis=1)
    ]
    everywhere = np.concatenate(sites)
    element: Ints = np.repeat(numbers, [len(orbit) for orbit in sites])
    first = np.array([orbit[0] for orbit in sites])
    # By symmetry the pairs of a representative with all sites stand for all pairs.
    apart = everywhere[None] - first[:, None]
    apart -= np.rint(apart)
    distances = least_distances[np.array(numbers)[:, None], element]
    vectors = (apart[:, :, None] + steps).reshape(-1, 3)
    lattice = np.concatenate([steps, np.eye(3)])
    vectors = np.concatenate([vectors, lattice])
    own = least_distances[numbers, numbers].max()
    reach = np.concatenate(
        [np.repeat(distances.reshape(-1), len(steps)), np.full(len(lattice), own)]
    )
    itself = (abs(vectors) < _ZERO_DIFFERENCE).all(axis=1)
    x, y, z = (vectors[~itself] / reach[~itself, None]).T
    if system == "cubic":
        return _non_redundant(np.stack([x * x + y * y + z * z], axis=1))
    if system == "tetragonal":
        return _non_redundant(np.stack([x * x + y * y, z * z], axis=1))
    if system in ("trigonal", "hexagonal"):
        return _non_redundant(np.stack([x * x + y * y - x * y, z * z], axis=1))
    if system == "orthorhombic":
        return _non_redundant(np.stack([x * x, y * y, z * z], axis=1))
    if system == "monoclinic":
        return _non_redundant(np.stack([x * x, y * y, z * z, -x * z], axis=1))
    return np.stack([x * x, y * y, z * z, y * z, x * z, x * y], axis=1)


def _non_redundant(terms: Floats) -> Floats:
    """Return the rows that are not, in every term, at least another row."""
    if terms.shape[1] == 1:
        return np.asarray(terms.min(axis=0, keepdims=True))
    if terms.shape[1] == 2:
        # In the order of the first term, a row needs a smaller second one than all before it.
        ordered = terms[np.lexsort(np.round(terms, 9).T[::-1])]
        second = np.round(ordered[:, 1], 9)
        least_before = np.append(np.inf, np.minimum.accumulate(second)[:-1])
        return np.asarray(ordered[second < least_before])
    left = terms[np.lexsort((terms[:, 3:].sum(axis=1), np.round(terms[:, :3].sum(axis=1), 9)))]
    kept: list[Floats] = []
    while len(left):
        # Only an earlier row can dominate: this block is compared, then rules out others.
        some = left[:_BLOCK_ROWS]
        among = np.tril(_is_redundant(some[:, None], some), k=-1).any(axis=1)
        kept.append(some[~among])
        left = left[_BLOCK_ROWS:]
        left = left[~_is_redundant(left[:, None], kept[-1]).any(axis=1)]
    return np.concatenate(kept)


def _is_redundant(rows: Floats, others: Floats) -> Bools:
    """Return which rows are at least another row, whatever the cell: terms are the last axis.

    A row is so if every term is. In a monoclinic cell, -2ac cosβ is at most s ac, where s is
    -2 cos(MAX_BETA). With p, q and r as the differences in the terms of a², c² and -2ac cosβ, the
    row is so for negative r, too, if p a² + q c² >= s |r| ac for all a and c: if 4pq >= (s r)².
    """
    more = rows - others
    worse = (more[..., :3] >= -_TOLERANCE).all(axis=-1)
    if more.shape[-1] == 4:
        first, last = np.maximum(more[..., 0], 0.0), np.maximum(more[..., 2], 0.0)
        slope = more[..., 3]
        worse &= (slope >= -_TOLERANCE) | (_MAX_SLOPE * slope * slope <= 4.0 * first * last)
    return np.asarray(worse)
