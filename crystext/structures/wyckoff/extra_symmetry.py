"""Whether a crystal that has a space group by construction surely has no further symmetry.

A further operation maps the lattice onto itself, and the atoms of the rarest element onto one
another, which leaves few to try. Each is tried at a larger tolerance than that of the search for
symmetry: where none fits, spglib finds none. Where one fits, spglib may find it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import minkowski_reduce
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.orbits import (
    inverse_primitive_basis,
    primitive_basis,
    primitive_translations,
)
from crystext.structures.wyckoff.positions import symmetry_operations

_TOLERANCE_RATIO = 1.5
"""How much larger the tolerance for atoms and lengths is than that of spglib."""

_PRODUCT_RATIO = 2.0
"""The same for scalar products of lattice vectors, over the sum of their lengths. spglib lets each
length change by its tolerance, and the angle between two by that over their mean length: so their
product changes by no more than 1.5 times the tolerance and the sum."""

_HOLOHEDRAL_GROUPS = {
    "triclinic": 2,
    "monoclinic": 10,
    "orthorhombic": 47,
    "tetragonal": 123,
    "trigonal": 191,
    "hexagonal": 191,
    "cubic": 221,
}
"""A group with all rotations of the lattices of a crystal system; a trigonal group without centring
has a hexagonal lattice."""

_RHOMBOHEDRAL = 166
"""That of the trigonal groups with centring, in hexagonal axes."""

_STEPS = np.indices((5, 5, 5)).reshape(3, -1).T - 2.0


class _Lattices(NamedTuple):
    """The lattices that a space group can have."""

    rotations: int
    """How many each has."""
    may_have_more: bool
    """Whether a special one has more."""
    further: Floats
    """The identity, and of the rotations that the group lacks one for each of its cosets, in the
    conventional basis: shape (K, 3, 3)."""


def surely_no_extra_symmetry(
    space_group: int, lattice: Floats, positions: Floats, numbers: Ints, symprec: float
) -> bool:
    """Return whether no symmetry beyond that of the group can be found in a crystal that has it.

    Args:
        space_group: a group that the crystal has.
        lattice: basis vectors of the conventional cell as rows, Å; shape (3, 3).
        positions: fractional in that cell, of the atoms of a primitive one; shape (N, 3).
        numbers: their atomic numbers; shape (N,).
        symprec: Å; tolerance of the search.

    Returns:
        False where a further operation may be found.
    """
    known = _lattices(space_group)
    primitive = primitive_basis(space_group) @ lattice
    if known.may_have_more and _count_rotations(primitive, symprec) > known.rotations:
        return False
    of_number = [np.flatnonzero(numbers == z) for z in dict.fromkeys(numbers.tolist())]
    rarest = min(of_number, key=len)
    moved = positions @ known.further.transpose(0, 2, 1)  # (K, N, 3)
    shifts = positions[rarest] - moved[:, rarest[:1]]  # (K, candidates, 3)
    shifts = shifts.reshape(-1, 3)[1:]  # The first is the identity.
    turn = np.repeat(np.arange(len(moved)), len(rarest))[1:]
    to_primitive = inverse_primitive_basis(space_group)
    for rows in sorted(of_number, key=len):
        if not len(shifts):
            return True
        there = moved[turn][:, rows] + shifts[:, None]
        apart = (there[:, :, None] - positions[rows]) @ to_primitive
        apart -= np.rint(apart)
        distances = ((apart @ primitive) ** 2).sum(axis=3).min(axis=2)
        fits = (distances < (_TOLERANCE_RATIO * symprec) ** 2).all(axis=1)
        shifts, turn = shifts[fits], turn[fits]
    return not len(shifts)


def _count_rotations(lattice: Floats, symprec: float) -> int:
    """Return how many integer matrices nearly leave the lengths and angles of a lattice alone."""
    basis = minkowski_reduce(lattice[None])[0]
    metric = basis @ basis.T
    lengths = np.sqrt(np.diagonal(metric))
    vectors = _STEPS @ basis
    sizes = np.sqrt((vectors * vectors).sum(axis=1))
    images = [vectors[abs(sizes - length) < _TOLERANCE_RATIO * symprec] for length in lengths]
    near = [
        abs(images[i] @ images[j].T - metric[i, j])
        < _PRODUCT_RATIO * symprec * (lengths[i] + lengths[j])
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    return int((near[0][:, :, None] & near[1][:, None] & near[2]).sum())


@cache
def _lattices(space_group: int) -> _Lattices:
    system = crystal_system(space_group)
    group = _HOLOHEDRAL_GROUPS[system]
    if system == "trigonal" and len(primitive_translations(space_group)) > 1:
        group = _RHOMBOHEDRAL
    whole, own = _distinct_rotations(group), _distinct_rotations(space_group)
    further, covered = [np.eye(3)], {each.tobytes() for each in own}
    for rotation in whole:
        if rotation.tobytes() not in covered:
            further.append(rotation)
            covered |= {each.tobytes() for each in rotation @ own + 0.0}
    # No lattice has more rotations than a hexagonal one, or a cubic one, and these among them.
    return _Lattices(len(whole), group not in (191, 221), np.array(further))


def _distinct_rotations(space_group: int) -> Floats:
    # Adding zero makes negative zeros positive, so that equal matrices have equal bytes.
    return np.unique(symmetry_operations(space_group)[0], axis=0) + 0.0
