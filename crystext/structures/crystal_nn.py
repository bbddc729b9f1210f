"""CrystalNN: the neighbours of an atom, and the probability of each coordination number.

The Voronoi cell of an atom has one face for each neighbour. With Ω the solid angle under which the
atom sees the face, A its area, χ electronegativities and d the distance, a neighbour has the weight

    w = Ω²/A * (1 + 3 sqrt(|Δχ| / 3.3)) / max   times   1 up to d0 = r1 + r2 + 0.5 Å,
                                                (1 + cos(π (d - d0) / 0.5)) / 2 up to d0 + 0.5 Å,
                                                0 beyond

with covalent radii r, rounded to three decimals. The n heaviest neighbours, never separating equal
weights, are the environment of coordination number n; its probability is the area of a quarter of
the unit circle between the weight of its last member and the next lower weight.

Source: Pan et al., Inorg. Chem. 60, 1590 (2021), as `pymatgen.core.local_env.CrystalNN` computes it
with its defaults, for elements without oxidation states. The numbers are the same, but the
algorithm is not: faces come from the convex hull of the points 2p/|p|², the polar dual of the
Voronoi cell, which costs a tenth of a tessellation of all points within the cutoff.

What goes wrong otherwise: pymatgen tessellates once per atom and then looks through all faces of
the tessellation in Python, for a quarter of a second per crystal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, Floats, Ints

NEIGHBOUR_RADIUS = 7.0
"""Å; cutoff of the neighbour search, doubled while a Voronoi cell is open."""
_MIN_VOLUME = 0.1
"""Å^3; in a smaller cell, every atom coincides with its images."""
_FIRST_HULL_POINTS = 48
"""Points whose hull is tried first. If the cell reaches less than half as far as the last of them,
no other point can cut it."""


class Environment(NamedTuple):
    """The neighbours that an atom has at one coordination number."""

    probability: float
    vectors: Floats
    """Vectors to the neighbours, in Å, the heaviest first; shape (n, 3)."""
    weights: Floats
    """Weights before rounding; shape (n,)."""
    numbers: Ints
    """Atomic numbers of the neighbours; shape (n,)."""


class _Faces(NamedTuple):
    """Faces of a Voronoi cell."""

    points: Ints
    """Index of the point of each face; shape (F,)."""
    angles: Floats
    """Solid angles; shape (F,)."""
    areas: Floats
    """Å^2; shape (F,)."""


def environments(crystal: Crystal, atoms: Sequence[int] | None = None) -> list[list[Environment]]:
    """Return the environments of atoms of a crystal, the smallest first, without the empty one.

    Args:
        crystal: any.
        atoms: indices of atoms; None for all.

    Raises:
        InputError: the cell has almost no volume, an atom has no Voronoi cell because atoms
            coincide or lie in one plane, or an element has no radius.
    """
    if not crystal.volume >= _MIN_VOLUME:
        raise InputError(f"the cell holds {crystal.volume:.3g} Å^3; expected {_MIN_VOLUME} or more")
    places = crystal.positions @ crystal.lattice
    within = _neighbours(crystal, places, NEIGHBOUR_RADIUS)
    chosen = range(len(crystal)) if atoms is None else atoms
    return [_site_environments(crystal, places, i, *within[i]) for i in chosen]


def nearest_neighbours(crystal: Crystal, atoms: Sequence[int]) -> list[Ints]:
    """Return the atomic numbers of the nearest neighbours of atoms, those of CrystalNN.

    They are the environment of the most probable coordination number, as
    `CrystalNN.get_nn_info` returns it; none, where the empty one is most probable.

    Args:
        crystal: any.
        atoms: indices of the atoms.

    Raises:
        InputError: as `environments`.
    """
    nearest: list[Ints] = []
    for surroundings in environments(crystal, atoms):
        empty = 1 - sum(environment.probability for environment in surroundings)
        best = max(surroundings, key=lambda x: x.probability, default=None)
        if best is None or empty > best.probability:
            nearest.append(np.zeros(0, dtype=np.int64))
        else:
            nearest.append(best.numbers)
    return nearest


def _neighbours(crystal: Crystal, positions: Floats, reach: float) -> list[tuple[Ints, Floats]]:
    """Return, for each atom, atoms and vectors of all images within the cutoff, nearest first."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    centres, others, images, distances = find_points_in_spheres(
        positions,
        positions,
        r=reach,
        pbc=np.array([1, 1, 1], dtype=np.int64),
        lattice=np.ascontiguousarray(crystal.lattice),
        tol=1e-8,
    )
    itself = (centres == others) & (images == 0).all(axis=1)
    order = np.lexsort((distances, centres))
    order = order[~itself[order]]
    centres, others, images = centres[order], others[order], images[order]
    vectors = positions[others] + images @ crystal.lattice - positions[centres]
    ends = np.searchsorted(centres, np.arange(len(positions) + 1))
    return [
        (others[low:high], vectors[low:high])
        for low, high in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def _site_environments(
    crystal: Crystal, positions: Floats, atom: int, others: Ints, vectors: Floats
) -> list[Environment]:
    corners = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) @ crystal.lattice
    longest = float(np.linalg.norm(corners, axis=1).max()) + 0.01
    reach = NEIGHBOUR_RADIUS
    while (faces := _voronoi_faces(vectors)) is None:
        if reach >= longest:
            raise InputError(
                f"atom {atom + 1} has no Voronoi cell: atoms coincide or lie in one plane"
            )
        reach = min(2 * reach, longest + 0.001)
        others, vectors = _neighbours(crystal, positions, reach)[atom]
    numbers, vectors = crystal.numbers[others[faces.points]], vectors[faces.points]
    weights = _neighbour_weights(int(crystal.numbers[atom]), numbers, vectors, faces)
    order = np.argsort(-weights, kind="stable")
    rounded = [round(w, 3) for w in weights[order].tolist()]
    sizes = [n for n, w in enumerate(rounded, start=1) if w > 0 and w != (*rounded, 0.0)[n]]
    levels = [rounded[n - 1] for n in sizes] + [0.0]
    return [
        Environment(
            _area_below(level) - _area_below(lower),
            vectors[order[:n]],
            weights[order[:n]],
            numbers[order[:n]],
        )
        for n, level, lower in zip(sizes, levels, levels[1:], strict=False)
    ]


def _neighbour_weights(number: int, numbers: Ints, vectors: Floats, faces: _Faces) -> Floats:
    """Return the weights of neighbours, given the atomic numbers."""
    weights = faces.angles**2 / faces.areas
    chi, chis = _electronegativities()[number], _electronegativities()[numbers]
    contrast = 1 + 3.0 * np.sqrt(np.abs(chi - chis) / 3.3)
    weights = weights * np.where(np.isnan(contrast), 1.0, contrast)
    weights /= weights.max()
    radii = _radii()[number] + _radii()[numbers]
    if np.isnan(radii).any():
        unknown = sorted({SYMBOLS[z - 1] for z in [number, *numbers] if np.isnan(_radii()[z])})
        raise InputError(f"no radius is known for {', '.join(unknown)}")
    beyond = (np.linalg.norm(vectors, axis=1) - radii - 0.5) / 0.5
    fading: Floats = weights * (np.cos(np.clip(beyond, 0.0, 1.0) * math.pi) + 1) * 0.5
    return fading


def _area_below(x: float) -> float:
    """Return the fraction of the unit circle's first quadrant between 0 and x."""
    return (x * math.sqrt(1 - x * x) + math.asin(x)) / (math.pi / 2)


def _voronoi_faces(vectors: Floats) -> _Faces | None:
    """Return the faces of the Voronoi cell around the origin; None if the cell is open.

    Args:
        vectors: points, the nearest first; shape (P, 3).
    """
    if len(vectors) > _FIRST_HULL_POINTS:
        near = vectors[:_FIRST_HULL_POINTS]
        found = _voronoi_faces_and_radius(near)
        if found is not None and 2 * found[1] <= np.linalg.norm(near[-1]):
            return found[0]
    found = _voronoi_faces_and_radius(vectors)
    return None if found is None else found[0]


def _voronoi_faces_and_radius(vectors: Floats) -> tuple[_Faces, float] | None:
    """Return the faces, and the radius of the cell."""
    from scipy.spatial import ConvexHull, QhullError

    squares = _dot(vectors, vectors)
    if len(vectors) < 4 or squares.min() < 1e-12:
        return None
    try:
        hull = ConvexHull(2 * vectors / squares[:, None])
    except QhullError:
        return None
    normals, offsets = hull.equations[:, :3], hull.equations[:, 3]
    if offsets.max() >= -1e-10:  # The origin is not inside.
        return None
    # Each facet of the hull is a corner of the cell; each point of the hull a face.
    corners = -normals / offsets[:, None]
    facets = np.repeat(np.arange(len(corners)), 3)
    simplices: Ints = hull.simplices.ravel().astype(np.int64)
    points, owners = np.unique(simplices, return_inverse=True)
    axes = vectors[points] / np.sqrt(squares[points])[:, None]
    counts = np.bincount(owners)
    centres = np.stack(
        [np.bincount(owners, weights=corners[facets, i]) for i in range(3)], axis=1
    ) / counts[:, None]  # fmt: skip
    # Corners are ordered by their angle around the centre of the face.
    first = _cross(axes, np.eye(3)[np.abs(axes).argmin(axis=1)])
    second = _cross(axes, first)
    arms = corners[facets] - centres[owners]
    turn = np.arctan2(_dot(arms, second[owners]), _dot(arms, first[owners]))
    order = np.lexsort((turn, owners))
    owners, ring = owners[order], corners[facets[order]]
    ends = np.cumsum(counts)
    following = np.arange(len(ring)) + 1
    following[ends - 1] = ends - counts
    after, middle = ring[following], centres[owners]
    cross = _cross(ring - middle, after - middle)
    areas = np.bincount(owners, weights=np.linalg.norm(cross, axis=1)) / 2
    angles = np.bincount(owners, weights=_solid_angles(middle, ring, after)).astype(np.float64)
    seen = (areas > 1e-12) & (angles > 1e-12)
    reach = float(np.sqrt(_dot(corners, corners).max()))
    return _Faces(points[seen], angles[seen], areas[seen]), reach


def _solid_angles(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return the solid angles of triangles seen from the origin; corners of shape (K, 3).

    Source: van Oosterom and Strackee, IEEE Trans. Biomed. Eng. 30, 125 (1983).
    """
    lengths = [np.linalg.norm(x, axis=1) for x in (a, b, c)]
    la, lb, lc = lengths
    above = np.abs(_dot(a, _cross(b, c)))
    below = la * lb * lc + _dot(a, b) * lc + _dot(a, c) * lb + _dot(b, c) * la
    angles: Floats = 2 * np.arctan2(above, below)
    return angles


def _dot(a: Floats, b: Floats) -> Floats:
    products: Floats = np.einsum("ki,ki->k", a, b)
    return products


def _cross(a: Floats, b: Floats) -> Floats:
    # np.cross is five times slower, because it first determines the axis.
    return a[:, _NEXT] * b[:, _LAST] - a[:, _LAST] * b[:, _NEXT]


_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


@cache
def _electronegativities() -> Floats:
    """Return Pauling's electronegativity by atomic number; nan if unknown."""
    import warnings

    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        # It warns for every noble gas that there is none.
        warnings.simplefilter("ignore")
        return np.array([np.nan, *(Element(symbol).X for symbol in SYMBOLS)], dtype=np.float64)


@cache
def _radii() -> Floats:
    """Return covalent radii in Å by atomic number, else atomic ones, else nan."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
    from pymatgen.core.periodic_table import Element

    known = CovalentRadius.radius
    radii = [known.get(symbol) or Element(symbol).atomic_radius for symbol in SYMBOLS]
    return np.array([np.nan, *(np.nan if r is None else float(r) for r in radii)])
