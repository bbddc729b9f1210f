"""Distances between distributions: of density, and of the number of elements.

    W = integral |F(x) - F_ref(x)| dx

with cumulative distributions F, in the unit of the quantity: g/cm^3, or elements. Source of the two
quantities: CDVAE, Xie et al., ICLR 2022, arXiv:2110.06197, which compares 1,000 crystals that are
valid in structure and composition with the whole test set.

What goes wrong otherwise: dropping invalid crystals may improve or worsen the distance, so state
which crystals were compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.metrics.base import Metric, MetricInput, per_crystal
from crystext.structures.crystal import Crystal
from crystext.structures.properties import density


def count_elements(crystal: Crystal) -> float:
    """Return the number of different elements."""
    return float(len(np.unique(crystal.numbers)))


DISTRIBUTION_QUANTITIES: dict[str, Callable[[Crystal], float]] = {
    "density_g_per_cm3": density,
    "n_elements": count_elements,
}
"""The quantities compared, with their units."""


def wasserstein_distance(values: Sequence[float], reference: Sequence[float]) -> float:
    """Return the Wasserstein distance of two sets of values, neither empty, in their unit."""
    from scipy import stats

    return float(stats.wasserstein_distance(values, reference))


def _distance_of(quantity: Callable[[Crystal], float]) -> Callable[[MetricInput], float | None]:
    def compute(samples: MetricInput) -> float | None:
        reference = samples.required("reference").crystals
        if not samples.crystals or not reference:
            return None
        return wasserstein_distance(
            [quantity(crystal) for crystal in samples.crystals],
            [quantity(crystal) for crystal in reference],
        )

    return compute


DENSITY = Metric(
    name="density",
    title="mean density",
    compute=per_crystal(density),
    unit="g/cm^3",
    source="mass of the atoms of a cell over its volume",
    libraries=("ase",),
)

N_ELEMENTS = Metric(
    name="n_elements",
    title="mean number of elements",
    compute=per_crystal(count_elements),
    source="different elements in a cell",
)

WASSERSTEIN_DENSITY = Metric(
    name="wasserstein_density",
    title="Wasserstein distance, density, of all parsed",
    compute=_distance_of(density),
    unit="g/cm^3",
    better="lower",
    source="Xie et al., arXiv:2110.06197 (CDVAE)",
    requires=("reference",),
    libraries=("ase", "scipy"),
)

WASSERSTEIN_N_ELEMENTS = Metric(
    name="wasserstein_n_elements",
    title="Wasserstein distance, number of elements, of all parsed",
    compute=_distance_of(count_elements),
    better="lower",
    source="Xie et al., arXiv:2110.06197 (CDVAE)",
    requires=("reference",),
    libraries=("scipy",),
)
