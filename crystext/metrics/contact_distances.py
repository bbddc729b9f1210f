"""Raw geometry: atoms closer than any bond, and atoms without a neighbour.

For atoms i and j with covalent radii r, images included,

    q_ij = d_ij / (r_i + r_j),    n_i = min over j of q_ij

    a contact below x   <=>   min over i of n_i < x
    an isolated atom    <=>   max over i of n_i > 1.35

Radii: Cordero et al., Dalton Trans. 2008, 2832, as tabulated by ASE. The thresholds are our own:
of the crystals of MP-20 test fewer than one in a hundred has a contact below 0.75, and as few have
an isolated atom.

What goes wrong otherwise: structural validity asks for 0.5 Å alone, which almost any crystal
passes, also one in which two metal atoms lie within 2 Å, or from which an atom has fallen out.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from crystext.metrics.base import Metric, MetricInput, map_crystals, per_crystal
from crystext.metrics.thresholds import MIN_VOLUME
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import image_distances, shortest_lattice_vector

CLOSE_CONTACTS = (0.75, 0.85)
"""Limits of contacts, in sums of covalent radii; the first is rare in the data."""

NEIGHBOUR_REACH = 1.35
"""Distance within which an atom has a neighbour, in sums of covalent radii."""

RADII_SOURCE = "our own; covalent radii of Cordero et al., Dalton Trans. 2008, 2832"

_PAIRS_AT_ONCE = 1 << 14
"""Pairs of atoms whose images are compared together, which limits memory to some 20 MB."""


def nearest_ratios(crystal: Crystal) -> Floats:
    """Return for each atom the distance of its nearest neighbour over the sum of their radii.

    The nearest is the one with the smallest ratio; an atom's own images count. A cell without a
    volume has zeros.

    Returns:
        Shape (N,).
    """
    if not crystal.volume >= MIN_VOLUME:
        return np.zeros(len(crystal))
    lattice, positions, n = crystal.lattice, crystal.positions, len(crystal)
    radii = _covalent_radii()[crystal.numbers]
    own = float(shortest_lattice_vector(lattice[None])[0])
    rows = max(1, _PAIRS_AT_ONCE // n)
    nearest = np.empty(n)
    for start in range(0, n, rows):
        chunk = np.arange(start, min(start + rows, n))
        distances = image_distances(
            np.broadcast_to(lattice, (len(chunk), 3, 3)),
            positions[chunk],
            np.broadcast_to(positions, (len(chunk), n, 3)),
        )
        distances[np.arange(len(chunk)), chunk] = own
        nearest[chunk] = (distances / (radii[chunk, None] + radii)).min(axis=1)
    return nearest


def contact_ratio(crystal: Crystal) -> float:
    """Return the smallest distance of two atoms over the sum of their radii."""
    return float(nearest_ratios(crystal).min())


def neighbour_ratio(crystal: Crystal) -> float:
    """Return the ratio of the atom that is farthest from its nearest neighbour."""
    return float(nearest_ratios(crystal).max())


def has_isolated_atom(crystal: Crystal) -> bool:
    """Return whether an atom has no neighbour within `NEIGHBOUR_REACH`."""
    return neighbour_ratio(crystal) > NEIGHBOUR_REACH


def contact_metric_name(limit: float) -> str:
    """Return the name of the metric of contacts below a limit: contact_below_75."""
    return f"contact_below_{round(100 * limit)}"


def contact_title(limit: float) -> str:
    """Return the title of the metric of contacts below a limit."""
    return f"a contact below {limit:g} of the sum of covalent radii"


def isolated_title(reach: float) -> str:
    """Return the title of the metric of isolated atoms."""
    return f"an atom without a neighbour within {reach:g} of the sum of covalent radii"


@cache
def _covalent_radii() -> Floats:
    """Return covalent radii in Å by atomic number."""
    from ase.data import covalent_radii

    return np.asarray(covalent_radii, dtype=np.float64)


def _is_below(limit: float, samples: MetricInput) -> list[bool | None]:
    ratios = map_crystals(contact_ratio, samples.crystals, samples.workers, samples.report)
    return samples.per_sample([ratio < limit for ratio in ratios])


def _contact_metric(limit: float) -> Metric:
    return Metric(
        name=contact_metric_name(limit),
        title=contact_title(limit),
        compute=partial(_is_below, limit),
        better="lower",
        source=RADII_SOURCE,
        libraries=("ase",),
    )


CONTACT_BELOW_75, CONTACT_BELOW_85 = map(_contact_metric, CLOSE_CONTACTS)

ISOLATED_ATOM = Metric(
    name="isolated_atom",
    title=isolated_title(NEIGHBOUR_REACH),
    compute=per_crystal(has_isolated_atom),
    better="lower",
    source=RADII_SOURCE,
    libraries=("ase",),
)
