"""Generate all atoms of a cell from the sites of a CIF and its symmetry operations.

A coordinate is known to its printed digits. A site that an operation maps to within a few printed
steps of itself lies on that operation's point, line or plane; it is moved onto it, so that 0.333
makes two atoms of a hexagonal layer and not six.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.io.read.cif.operations import Operations
from crystext.structures.crystal import Crystal, Floats, Ints

MAX_ROUNDING_STEPS = 1.6
"""Steps of the last printed digit by which rounding can move a site off its special position.

Rounding errs by half a step in each coordinate, truncation (0.666 for 2/3) by a whole one;
hexagonal axes mix two coordinates.
"""

MIN_CONTACT = 0.5
"""Å. Two whole atoms are never closer than this: H-H is 0.74 Å."""

COINCIDENCE_TOLERANCE = 1e-4
"""Fraction of the cell's vectors: in a fully listed cell, closer atoms coincide."""


class ExpandedSite(NamedTuple):
    """One site of the list, with its images under all operations."""

    positions: Floats
    """Fractional coordinates of the atoms that it generates, each once; shape (n, 3)."""
    shift: float
    """Å by which the site was moved onto its special position."""
    is_rounding: bool
    """Whether the printed digits explain the shift."""
    nearest_image: float
    """Å from the site to the nearest of its own images in the cell; inf if it has none."""


def expand_site(
    position: Floats, step: Floats, operations: Operations, vectors: Floats
) -> ExpandedSite:
    """Return the atoms that a site generates.

    Args:
        position: fractional coordinates; shape (3,).
        step: value of one unit of the last printed digit of each coordinate; shape (3,).
        operations: operations that form a group.
        vectors: vectors of the cell as rows, in Å; shape (3, 3).
    """
    rotations, translations = operations.rotations, operations.translations
    current = position
    for _ in range(10):
        shifts = rotations @ current + translations - current
        shifts -= np.round(shifts)
        distances = np.linalg.norm(shifts @ vectors, axis=1)
        here = distances < MIN_CONTACT
        change = shifts[here].mean(axis=0)
        if np.abs(change).max() < 1e-13:
            break
        current = current + change
    images = rotations @ current + translations
    if np.count_nonzero(here) > 1:
        images = images[_unique_images(images)]
    change = np.abs(current - position)
    images = images - np.floor(images + 1e-12)
    return ExpandedSite(
        images,
        float(np.linalg.norm((current - position) @ vectors)),
        bool((change <= MAX_ROUNDING_STEPS * step + 1e-9).all()),
        float(distances[~here].min(initial=np.inf)),
    )


def _unique_images(images: Floats) -> Ints:
    """Return the indices of the images that equal no earlier one, modulo lattice translations."""
    if len(images) == 1:
        return np.zeros(1, dtype=np.int64)
    same = np.ones((len(images), len(images)), dtype=bool)
    for axis in range(3):
        difference = images[:, None, axis] - images[None, :, axis]
        difference -= np.round(difference)
        same &= np.abs(difference) < 1e-6
    return np.flatnonzero(same.argmax(axis=1) == np.arange(len(images)))


def find_coincident_pair(
    positions: Floats, tolerance: float = COINCIDENCE_TOLERANCE
) -> tuple[int, int] | None:
    """Return two atoms that coincide within a tolerance, as a fraction of the cell's vectors."""
    if len(positions) < 2:
        return None
    wrapped = positions - np.floor(positions)
    order = np.argsort(wrapped[:, 0], kind="stable")
    x = wrapped[order, 0]
    near_end = int(np.searchsorted(x, tolerance))
    order = np.concatenate([order, order[:near_end]])
    x = np.concatenate([x, x[:near_end] + 1.0])
    rest = wrapped[order, 1:]
    for step in range(1, len(positions)):
        near = np.flatnonzero(x[step:] - x[:-step] < tolerance)
        if len(near) == 0:
            return None
        difference = rest[near + step] - rest[near]
        difference -= np.round(difference)
        hits = near[(np.abs(difference) < tolerance).all(axis=1)]
        for hit in hits.tolist():
            pair = int(order[hit]), int(order[hit + step])
            if pair[0] != pair[1]:
                return min(pair), max(pair)
    return None


def distances_to(position: Floats, others: Floats, vectors: Floats) -> Floats:
    """Return the distances in Å from a position to the nearest image of each other one.

    The result is correct for distances below half of the cell's width, which suffices here.
    """
    shifts = others - position
    shifts -= np.round(shifts)
    norms: NDArray[np.float64] = np.linalg.norm(shifts @ vectors, axis=1)
    return norms


def min_contact_ratio(crystal: Crystal) -> float:
    """Return the shortest distance between two atoms over the sum of their covalent radii.

    Images of an atom in neighbouring cells are not counted; inf for a single atom. Radii: Cordero
    et al., Dalton Trans. 2008, 2832, from ASE.
    """
    from ase.data import covalent_radii

    radii = np.asarray(covalent_radii)[crystal.numbers]
    shortest = np.inf
    for i in range(len(crystal) - 1):
        distances = distances_to(crystal.positions[i], crystal.positions[i + 1 :], crystal.lattice)
        shortest = min(shortest, float((distances / (radii[i] + radii[i + 1 :])).min()))
    return shortest
