"""Distances between distributions: of density, and of the number of elements.

    W = integral |F(x) - F_ref(x)| dx

with cumulative distributions F, in the unit of the quantity: g/cm^3, or elements. Source of the two
quantities: CDVAE, Xie et al., ICLR 2022, arXiv:2110.06197, which compares 1,000 crystals that are
valid in structure and composition with the whole test set.

What goes wrong otherwise: dropping what is not valid may flatter the distance as well as spoil it,
so it belongs beside the number which crystals were compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.properties import density

DISTRIBUTION_QUANTITIES: dict[str, Callable[[Crystal], float]] = {
    "density_g_per_cm3": density,
    "n_elements": lambda crystal: float(len(np.unique(crystal.numbers))),
}
"""What is compared, with its unit."""


def wasserstein(crystals: Sequence[Crystal], reference: Sequence[Crystal]) -> dict[str, float]:
    """Return the Wasserstein distance of each quantity between two sets, neither empty."""
    return {
        name: wasserstein_distance([f(c) for c in crystals], [f(c) for c in reference])
        for name, f in DISTRIBUTION_QUANTITIES.items()
    }


def wasserstein_distance(values: Sequence[float], reference: Sequence[float]) -> float:
    """Return the distance of two sets of values, neither empty, in their unit."""
    from scipy import stats

    return float(stats.wasserstein_distance(values, reference))
