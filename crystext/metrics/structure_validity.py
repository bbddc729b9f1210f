"""Structural validity: no two atoms closer than 0.5 Å, and a cell of at least 0.1 Å^3.

    valid  <=>  V >= 0.1 Å^3  and  min over i < j, n in Z^3 of |(x_j - x_i + n) L| >= 0.5 Å

with fractional positions x, basis vectors L as rows and lattice translations n. Source: CDVAE, Xie
et al., ICLR 2022, arXiv:2110.06197. That rule considers different atoms only: an atom is never
compared with its own images, so a cell with a lattice vector of 0.2 Å can pass. Here such a cell
has a separate failure, IMAGES_TOO_CLOSE, and the caller decides whether it counts.

What goes wrong otherwise: rounding each fractional difference to the nearest integer is not the
minimum image in a skewed cell. A translation n shifts a point by n_i plane spacings h_i along the
i-th reciprocal vector, h_i = V / |a_j x a_k|, so a vector shorter than r has |d_i + n_i| < r / h_i:
with d rounded into [-1/2, 1/2], only |n_i| <= r / h_i + 1/2 can matter. This holds in any basis and
leaves only n = 0 if all h_i > 2r, that is, in nearly every crystal.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import numpy as np

from crystext.metrics.base import Metric, per_crystal
from crystext.metrics.thresholds import MIN_DISTANCE, MIN_VOLUME
from crystext.structures.crystal import Crystal, Floats

_MANY_IMAGES = 1000
"""Above this number of translations the basis is reduced before they are tried."""
_CHUNK = 1 << 18
"""Number of vectors measured at once, which limits memory to some 20 MB."""


class StructureFailure(Enum):
    """Why a crystal is structurally invalid. The value is a sentence for display."""

    NO_VOLUME = "the cell is smaller than the smallest volume allowed"
    ATOMS_TOO_CLOSE = "two atoms, or an atom and an image of another, are too close"
    IMAGES_TOO_CLOSE = "a lattice vector is so short that atoms are too close to their own images"


def structure_failure(
    crystal: Crystal, *, min_distance: float = MIN_DISTANCE, min_volume: float = MIN_VOLUME
) -> StructureFailure | None:
    """Return the first failure of a crystal, in the order of `StructureFailure`, or None.

    Args:
        crystal: one or more atoms.
        min_distance: Å; pairs at exactly this distance are accepted.
        min_volume: Å^3; a cell of exactly this volume is accepted.
    """
    if not crystal.volume >= min_volume:
        return StructureFailure.NO_VOLUME
    lattice = crystal.lattice
    first, second = np.triu_indices(len(crystal), k=1)
    separations = crystal.positions[second] - crystal.positions[first]
    reach = _image_range(lattice, min_distance)
    if np.prod(2 * reach + 1) > _MANY_IMAGES:
        reduced = _reduced_basis(lattice)
        separations = separations @ lattice @ np.linalg.inv(reduced)
        lattice, reach = reduced, _image_range(reduced, min_distance)
    separations -= np.rint(separations)
    if _any_shorter(separations, lattice, reach, min_distance, skip_zero=False):
        return StructureFailure.ATOMS_TOO_CLOSE
    if _any_shorter(np.zeros((1, 3)), lattice, reach, min_distance, skip_zero=True):
        return StructureFailure.IMAGES_TOO_CLOSE
    return None


def is_structure_valid(crystal: Crystal, *, self_images: bool = False) -> bool:
    """Return whether a crystal is structurally valid at CDVAE's thresholds.

    Args:
        crystal: one or more atoms.
        self_images: False is CDVAE's rule, which ignores an atom's distance to its own images; True
            rejects these too.
    """
    failure = structure_failure(crystal)
    return failure is None or (failure is StructureFailure.IMAGES_TOO_CLOSE and not self_images)


STRUCTURE_VALID = Metric(
    name="structure_valid",
    title="structurally valid",
    compute=per_crystal(is_structure_valid),
    better="higher",
    source="Xie et al., arXiv:2110.06197 (CDVAE)",
)


def _image_range(lattice: Floats, radius: float) -> Floats:
    """Return, per axis, the largest |n_i| that a vector shorter than `radius` can have."""
    spacings = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach: Floats = np.floor(radius / spacings + 0.5 + 1e-9)
    return reach


def _any_shorter(
    separations: Floats, lattice: Floats, reach: Floats, radius: float, *, skip_zero: bool
) -> bool:
    """Return whether any image of separations (P, 3), in [-1/2, 1/2], is shorter than `radius`."""
    if len(separations) == 0:
        return False
    at_once = max(1, _CHUNK // len(separations))
    for images in _translations(reach, at_once):
        if skip_zero:
            images = images[images.any(axis=1)]
        vectors = (separations[:, None, :] + images[None, :, :]) @ lattice
        if (np.einsum("pik,pik->pi", vectors, vectors) < radius**2).any():
            return True
    return False


def _translations(reach: Floats, at_once: int) -> Iterator[Floats]:
    """Yield all integer vectors with |n_i| <= reach_i in arrays (at most `at_once`, 3)."""
    sides = (2 * reach + 1).astype(np.int64)
    total = int(np.prod(sides))
    for start in range(0, total, at_once):
        flat = np.arange(start, min(start + at_once, total))
        yield np.stack(np.unravel_index(flat, tuple(sides)), axis=1) - reach


def _reduced_basis(lattice: Floats) -> Floats:
    """Return a basis of the same lattice with short, nearly orthogonal vectors."""
    from pymatgen.core.lattice import Lattice

    return np.asarray(Lattice(lattice).get_lll_reduced_lattice().matrix, dtype=np.float64)
