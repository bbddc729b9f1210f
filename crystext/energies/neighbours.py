"""Atoms without a neighbour, to which a potential gives a number that means nothing.

A potential with a cutoff sums over pairs of atoms that are nearer than it. An atom without such a
pair adds a constant to the energy and feels no force: moved further away, it changes nothing. So a
relaxation of it ends at once, with an energy that says nothing of the crystal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crystext.structures.crystal import Floats

_SELF_DISTANCE = 1e-8
"""Å; an image of an atom that is nearer than this is the atom itself."""


def has_isolated_atom(positions: Floats, lattice: Floats, cutoff: float) -> bool:
    """Say whether some atom has no other atom, and no image of its own, within the cutoff.

    Args:
        positions: Cartesian, Å, (N, 3); finite.
        lattice: Å, its vectors as rows, (3, 3).
        cutoff: Å.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    points = np.ascontiguousarray(positions, dtype=np.float64)
    centers, others, _, distances = find_points_in_spheres(
        points,
        points,
        r=float(cutoff),
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(lattice, dtype=np.float64),
        tol=_SELF_DISTANCE,
    )
    are_pairs = (centers != others) | (distances > _SELF_DISTANCE)
    return len(np.unique(centers[are_pairs])) < len(points)
