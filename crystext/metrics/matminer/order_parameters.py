"""Order parameters: how similar the neighbours of an atom are to an octahedron, a tetrahedron, etc.

For n neighbours, each ordered pair (j, k) sets up a frame: j is the north pole, and k lies on the
prime meridian. With θ the angle of a neighbour from the pole and φ that from the meridian, the
peaked order parameters are

    max over j, k of [ p(θ_k) + sum_m ( p(θ_m) cos²(f φ_m) + s(θ_m) ) ] / number of terms

where p is a Gaussian at the polar angle of the motif, s another at the south pole for motifs with
an atom there, and f the motif's symmetry about the axis. An atom that counts as the south pole is
excluded from p. Bond-orientational parameters are

    q_l = sqrt( sum_{j,k} P_l(cos θ_jk) ) / n

with Legendre polynomials, by the addition theorem of spherical harmonics.

Sources: Zimmermann and Jain, RSC Adv. 10, 6063 (2020); Steinhardt et al., Phys. Rev. B 28, 784
(1983); widths and centres are those that pymatgen's `cn_opt_params.yaml` and `op_params.yaml` give
to the motifs of matminer's preset "ops". The numbers are those of pymatgen's
`LocalStructOrderParams`, which loops over j, k and m in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.structures.crystal import Floats

_COLLINEAR = 1e-12
"""Below this sine, two neighbours lie on one axis and define no meridian."""

_SOUTH = 0.75 * math.pi
"""From this polar angle on, most motifs count a neighbour as the south pole."""


class NeighbourFrames(NamedTuple):
    """Neighbours seen from all frames of S environments with n members each."""

    theta: Floats
    """Angle between j and k; shape (S, n, n)."""
    phi: Floats
    """Between the meridians of k and m, seen from pole j; shape (S, n, n, n)."""
    is_pair: NDArray[np.bool_]
    """Where j and k differ; shape (n, n)."""
    is_triplet: NDArray[np.bool_]
    """Where j, k and m differ and k is on no axis with j; shape (S, n, n, n)."""
    is_phi_defined: NDArray[np.bool_]
    """Where, besides, m is on no axis with j, so that φ means something; shape (S, n, n, n)."""


def neighbour_frames(vectors: Floats) -> NeighbourFrames:
    """Return the frames of environments; `vectors` has the shape (S, n, 3)."""
    n = vectors.shape[1]
    units = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    cosines = np.einsum("sji,ski->sjk", units, units)
    theta = np.arccos(np.clip(cosines, -1.0, 1.0))
    across = units[:, None, :, :] - cosines[..., None] * units[:, :, None, :]
    sines = np.linalg.norm(across, axis=-1)
    pairs = ~np.eye(n, dtype=np.bool_)
    off_axis = (sines >= _COLLINEAR) & pairs
    across /= np.where(off_axis, sines, 1.0)[..., None]
    phi = np.arccos(np.clip(np.einsum("sjki,sjmi->sjkm", across, across), -1.0, 1.0))
    differ = pairs[:, :, None] & pairs[:, None, :] & pairs[None, :, :]
    thirds = differ & off_axis[:, :, :, None]
    return NeighbourFrames(theta, phi, pairs, thirds, thirds & off_axis[:, :, None, :])


_Profile = Callable[[Floats], Floats]
"""Maps polar angles to their agreement with a motif."""


def _gaussian_profile(theta: Floats, *, width: float, centre: float) -> Floats:
    """Peak of inverse width `width` at the angle `centre`, both in units of π."""
    peak: Floats = np.exp(-0.5 * (width * (theta / math.pi - centre)) ** 2)
    return peak


def _two_sided_profile(theta: Floats, *, width: float, offset: float) -> Floats:
    """Peaks at the same offset, in units of π, from the equator on both sides."""
    peak: Floats = np.exp(-0.5 * (width * (np.abs(theta / math.pi - 0.5) - offset)) ** 2)
    return peak


def _fifths_profile(theta: Floats, *, width: float) -> Floats:
    """Peaks at 2/5 and 4/5 π, the nearer one counting."""
    near = theta <= 0.6 * math.pi
    return np.where(
        near,
        _gaussian_profile(theta, width=width, centre=0.4),
        _gaussian_profile(theta, width=width, centre=0.8),
    )


def _peaked_parameter(
    f: NeighbourFrames,
    *,
    profile: _Profile,
    fold: float,
    south: float | None = None,
    south_from: float = _SOUTH,
    phi_below: float = math.inf,
) -> Floats:
    """Return the peaked order parameter of each environment; shape (S,).

    Args:
        f: see `NeighbourFrames`.
        profile: p above.
        fold: f above.
        south: inverse width of s above; None for motifs without a south pole.
        south_from: polar angle in radians from which a neighbour is the south pole.
        phi_below: neighbours at larger φ, in radians, are left out.
    """
    suits = profile(f.theta)
    north = np.ones_like(f.theta, dtype=np.bool_) if south is None else f.theta < south_from
    value = np.where(north, suits, 0.0)
    terms = north.astype(np.float64)
    turning = f.is_phi_defined & north[:, :, :, None] & north[:, :, None, :] & (f.phi < phi_below)
    value += (np.where(turning, np.cos(fold * f.phi) ** 2, 0.0) * suits[:, :, None, :]).sum(axis=3)
    terms += turning.sum(axis=3)
    if south is not None:
        polar = f.is_triplet & ~north[:, :, None, :]
        low = _gaussian_profile(f.theta, width=south, centre=1.0)
        value += (polar * low[:, :, None, :]).sum(axis=3)
        terms += polar.sum(axis=3)
    return _best_frame(value, terms, f)


def _best_frame(value: Floats, terms: Floats, f: NeighbourFrames) -> Floats:
    shares = np.where(terms > 1e-12, value / np.maximum(terms, 1e-12), 0.0)
    best: Floats = np.where(f.is_pair, shares, 0.0).max(axis=(1, 2))
    return best


def _bent(f: NeighbourFrames, *, width: float, centre: float) -> Floats:
    """Return how close the angle of two bonds is to `centre`, in units of π."""
    return _gaussian_profile(f.theta[:, 0, 1], width=width, centre=centre)


def _cuboctahedral(f: NeighbourFrames) -> Floats:
    """Squares at the equator, triangles above and below it, one neighbour at the south pole."""
    low, high, south = math.radians(75.0), math.radians(105.0), math.radians(160.0)
    polar = f.theta >= south
    value = np.where(polar, 1.8 * _gaussian_profile(f.theta, width=28.75, centre=1.0), 0.0)
    terms = np.where(polar, 1.8, 0.0)
    theta, phi = f.theta[:, :, None, :], f.phi
    equator = (low < f.theta) & (f.theta < high)
    turning = f.is_phi_defined & equator[:, :, :, None] & ~polar[:, :, None, :]
    square = np.cos(phi) ** 2 * _gaussian_profile(theta, width=25.5, centre=0.5)
    corner = np.exp(-0.5 * (0.0556 * (np.cos(phi - 0.5 * math.pi) - 0.81649658)) ** 2)
    above = corner * _gaussian_profile(theta, width=31.25, centre=1 / 3)
    below = corner * _gaussian_profile(theta, width=31.25, centre=2 / 3)
    parts = [(equator[:, :, None, :], square), (theta < low, above), (theta > high, below)]
    for where, part in parts:
        value += np.where(turning & where, part, 0.0).sum(axis=3)
        terms += (turning & where).sum(axis=3)
    return _best_frame(value, terms, f)


def body_centred_pairs(f: NeighbourFrames) -> Floats:
    """Return the term of each pair in the body-centred parameter: pole j, meridian k; (S, n, n)."""
    south = 2.5261129449194057
    polar = f.theta >= south
    value = np.where(polar, 6 * _gaussian_profile(f.theta, width=15.0, centre=1.0), 0.0)
    turning = f.is_phi_defined & ~polar[:, :, :, None]
    side = np.where(f.theta > math.pi / 2, 1.0, -1.0)[:, :, :, None]
    tilt = ((f.theta - math.pi / 2) / math.asin(1 / 3))[:, :, None, :]
    wave = side * np.cos(3 * f.phi) * math.exp(0.5) * tilt * np.exp(-0.5 * tilt**2)
    pairs: Floats = value + np.where(turning, wave, 0.0).sum(axis=3)
    return pairs


def _body_centred(f: NeighbourFrames) -> Floats:
    """Return how similar eight neighbours are to a cube's corners: a sum over pairs, not a maximum.

    It depends slightly on the order of the neighbours, because the first of each pair is the pole.
    """
    n = f.theta.shape[1]
    total = np.triu(body_centred_pairs(f), k=1).sum(axis=(1, 2))
    parameter: Floats = total / (0.5 * n * (6 + (n - 2) * (n - 3)))
    return parameter


def _steinhardt(f: NeighbourFrames, *, degree: int) -> Floats:
    legendre = np.polynomial.legendre.Legendre.basis(degree)
    total = legendre(np.cos(f.theta)).sum(axis=(1, 2))
    q: Floats = np.sqrt(np.maximum(total, 0.0)) / f.theta.shape[1]
    return q


def _single(f: NeighbourFrames) -> Floats:
    return np.ones(len(f.theta))


_Motif = tuple[str, Callable[[NeighbourFrames], Floats]]

_Q: list[_Motif] = [(f"q{degree}", partial(_steinhardt, degree=degree)) for degree in (2, 4, 6)]
_equator = partial(partial, _gaussian_profile, centre=0.5)

MOTIFS: dict[int, list[_Motif]] = {
    1: [("single bond", _single)],
    2: [
        ("L-shaped", partial(_bent, width=15.15, centre=0.5)),
        ("water-like", partial(_bent, width=13.95, centre=0.5802777777777778)),
        ("bent 120 degrees", partial(_bent, width=13.25, centre=0.666666666667)),
        ("bent 150 degrees", partial(_bent, width=12.45, centre=0.833333333333333)),
        ("linear", partial(_bent, width=8.667, centre=1.0)),
    ],
    3: [
        (
            "trigonal planar",
            partial(
                _peaked_parameter,
                profile=partial(_gaussian_profile, width=17.5, centre=0.66666666667),
                fold=1,
            ),
        ),
        (
            "trigonal non-coplanar",
            partial(
                _peaked_parameter,
                profile=partial(_gaussian_profile, width=18.33, centre=0.6081734479693927),
                fold=1.5,
            ),
        ),
        ("T-shaped", partial(_peaked_parameter, profile=_equator(width=15.5), fold=1)),
    ],
    4: [
        (
            "square co-planar",
            partial(_peaked_parameter, profile=_equator(width=17.7), fold=1, south=13.5),
        ),
        (
            "tetrahedral",
            partial(
                _peaked_parameter,
                profile=partial(_gaussian_profile, width=18.5, centre=0.6081734479693927),
                fold=1.5,
            ),
        ),
        (
            "rectangular see-saw-like",
            partial(
                _peaked_parameter,
                profile=_equator(width=27),
                fold=2,
                south=11.5,
                phi_below=0.75 * math.pi,
            ),
        ),
        (
            "see-saw-like",
            partial(_peaked_parameter, profile=_equator(width=15.75), fold=1.5, south=12.75),
        ),
        ("trigonal pyramidal", partial(_peaked_parameter, profile=_equator(width=15.5), fold=1.5)),
    ],
    5: [
        (
            "pentagonal planar",
            partial(_peaked_parameter, profile=partial(_fifths_profile, width=19.333), fold=1),
        ),
        ("square pyramidal", partial(_peaked_parameter, profile=_equator(width=14.9), fold=2)),
        (
            "trigonal bipyramidal",
            partial(_peaked_parameter, profile=_equator(width=16.6), fold=1.5, south=12),
        ),
    ],
    6: [
        (
            "hexagonal planar",
            partial(
                _peaked_parameter,
                profile=partial(_two_sided_profile, width=25, offset=0.16666667),
                fold=1,
                south=7.5,
                south_from=2.6179938779914944,
            ),
        ),
        ("octahedral", partial(_peaked_parameter, profile=_equator(width=18), fold=2, south=15)),
        (
            "pentagonal pyramidal",
            partial(_peaked_parameter, profile=_equator(width=13.8), fold=2.5),
        ),
    ],
    7: [
        ("hexagonal pyramidal", partial(_peaked_parameter, profile=_equator(width=12.5), fold=3)),
        (
            "pentagonal bipyramidal",
            partial(_peaked_parameter, profile=_equator(width=14.75), fold=2.5, south=12.5),
        ),
    ],
    8: [
        ("body-centered cubic", _body_centred),
        (
            "hexagonal bipyramidal",
            partial(_peaked_parameter, profile=_equator(width=13.6), fold=3, south=14.1),
        ),
    ],
    9: _Q,
    10: _Q,
    11: _Q,
    12: [("cuboctahedral", _cuboctahedral), *_Q],
}
"""Motifs by coordination number, in the order of matminer's preset "ops"."""
