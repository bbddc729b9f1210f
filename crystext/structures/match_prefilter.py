"""A prefilter for the matcher: whether two crystals can be superposed at all.

pymatgen's StructureMatcher maps the first lattice on the second in all ways that its tolerances
allow, shifts one atom onto one of its element, and measures distances only if every atom of the
second has one of its element within a box around it. Here all lattices are tried at once, as
arrays: a layered crystal in a long cell has hundreds, and nearly always none fits. The matcher
judges the remaining pairs; tests compare the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crystext.structures.crystal import Floats, lengths_and_angles

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

_MARGIN = 1e-6
"""Added to every limit, so that rounding does not decide."""

_LATTICE_BATCH = 200
"""Number of lattices compared together; more take more memory, but no less time."""


def can_be_superposed(matcher: StructureMatcher, first: Structure, second: Structure) -> bool:
    """Return whether the matcher may find a mapping to measure.

    Args:
        matcher: without supercells and with scaling, as `MatchTolerances.matcher` makes it.
        first: reduced, of the same composition and number of atoms as the second.
        second: the one that the first is mapped on.

    Returns:
        False only if `matcher.fit` of the two, without further reduction, is False.
    """
    from pymatgen.core.lattice import Lattice

    ratio = (second.volume / first.volume) ** (1 / 6)
    onto = Lattice(second.lattice.matrix / ratio)
    bases_L_3_3 = _lattice_mappings(Lattice(first.lattice.matrix * ratio), onto, matcher)
    boxes_L_3 = _search_boxes(bases_L_3_3, onto, len(second), matcher.stol) + _MARGIN
    moved_L_N_3 = first.cart_coords * ratio @ np.linalg.inv(bases_L_3_3)
    kinds_1, kinds_2 = (np.array(s.atomic_numbers) for s in (first, second))
    alike_N_N = kinds_2[:, None] == kinds_1
    fewest = int(np.argmin(alike_N_N.sum(axis=1)))
    for start in range(0, len(bases_L_3_3), _LATTICE_BATCH):
        lattices = slice(start, start + _LATTICE_BATCH)
        moved, box = moved_L_N_3[lattices], boxes_L_3[lattices, None, None, :]
        between = second.frac_coords[None, :, None, :] - moved[:, None, :, :]
        for site in np.flatnonzero(alike_N_N[fewest]):
            apart = between + (moved[:, site] - second.frac_coords[fewest])[:, None, None, :]
            apart -= np.round(apart)
            near = (np.abs(apart) <= box).all(axis=-1) & alike_N_N
            if near.any(axis=2).all(axis=1).any():
                return True
    return False


def _lattice_mappings(lattice: Lattice, onto: Lattice, matcher: StructureMatcher) -> Floats:
    """Return all bases of a lattice that resemble that of another; shape (L, 3, 3).

    These are pymatgen's `Lattice.find_all_mappings`, computed without an object for each.
    """
    longest = max(onto.abc) * (1 + matcher.ltol)
    found: Any = lattice.get_points_in_sphere(
        [[0, 0, 0]], [0, 0, 0], longest + _MARGIN, zip_results=False
    )
    points, distances = np.asarray(found[0]), np.asarray(found[1])
    ratios = distances[:, None] / np.array(onto.abc)
    long_enough = (ratios > 1 / (1 + matcher.ltol) - _MARGIN) & (
        ratios < 1 + matcher.ltol + _MARGIN
    )
    integers = [points[long_enough[:, k]] for k in range(3)]
    vectors = [x @ lattice.matrix for x in integers]
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in vectors]

    def agree(i: int, j: int, angle: float) -> NDArray[np.bool_]:
        angles = np.degrees(np.arccos(np.clip(units[i] @ units[j].T, -1, 1)))
        within: NDArray[np.bool_] = np.abs(angles - angle) <= matcher.angle_tol + _MARGIN
        return within

    alpha, beta, gamma = agree(1, 2, onto.alpha), agree(0, 2, onto.beta), agree(0, 1, onto.gamma)
    bases = [np.zeros((0, 3, 3))]
    for a in range(len(vectors[0])):
        b, c = np.nonzero(alpha & gamma[a][:, None] & beta[a])
        scale, basis = (
            np.stack([np.broadcast_to(x[0][a], (len(b), 3)), x[1][b], x[2][c]], axis=1)
            for x in (integers, vectors)
        )
        bases.append(basis[np.abs(np.abs(np.linalg.det(scale)) - 1) < 0.5])
    return np.concatenate(bases)


def _search_boxes(bases_L_3_3: Floats, onto: Lattice, atoms: int, stol: float) -> Floats:
    """Return how far atoms may be apart along each vector of the averaged lattice; shape (L, 3)."""
    lengths_L_3, angles_L_3 = lengths_and_angles(bases_L_3_3)
    angles, mean_L_3 = (angles_L_3 + onto.angles) / 2, (lengths_L_3 + onto.abc) / 2
    cos, sin = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    # The volume of a cell of unit lengths; reciprocal lengths are sin(angle) / (length * volume).
    unit_volume = np.sqrt(np.maximum(1 - (cos**2).sum(axis=1) + 2 * cos.prod(axis=1), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        reciprocal_L_3 = sin / (mean_L_3 * unit_volume[:, None])
        spacing_L = (mean_L_3.prod(axis=1) * unit_volume / atoms) ** (1 / 3)
        boxes: Floats = 2 * stol * reciprocal_L_3 * spacing_L[:, None]
    return np.nan_to_num(boxes, nan=np.inf)
