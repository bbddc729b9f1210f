"""Detects isolated atoms, for which a potential gives a meaningless energy.

A potential with a cutoff sums over pairs of atoms within it. An atom without such a pair adds a
constant to the energy and feels no force. So its relaxation ends at once, with an energy that is
independent of the structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crystext.structures.crystal import Floats

_SELF_DISTANCE = 1e-8
"""Å; an image of an atom closer than this is the atom itself."""


def has_isolated_atom(positions: Floats, lattice: Floats, cutoff: float) -> bool:
    """Return whether some atom has no other atom, and no image of itself, within the cutoff.

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
