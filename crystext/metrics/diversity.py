"""Diversity: the mean pairwise distance of crystals.

    diversity = 2 / (N (N - 1)) * sum over i < j of d(i, j)

with the Euclidean distance d of structures' or of compositions' fingerprints. Source: the mean
pairwise distance of Xie et al., arXiv:2110.06197, and Gruver et al., arXiv:2402.04379.

What goes wrong otherwise: a mean over all N² pairs counts each crystal's distance 0 to itself, and
a sample of pairs adds sampling error. A large value alone is not a merit: noise is diverse.
"""

from __future__ import annotations

import numpy as np

from crystext.metrics.base import Metric, MetricInput
from crystext.metrics.pairwise_distances import mean_distance
from crystext.structures.crystal import Floats


def mean_pairwise_distance(fingerprints: Floats) -> float:
    """Return the mean distance of all pairs; nan for fewer than two.

    Args:
        fingerprints: shape (N, numbers); rows with nan are left out.
    """
    return mean_distance(fingerprints[np.isfinite(fingerprints).all(axis=1)])


def _structure_diversity(samples: MetricInput) -> float:
    return mean_pairwise_distance(samples.fingerprints.structures)


def _composition_diversity(samples: MetricInput) -> float:
    return mean_pairwise_distance(samples.fingerprints.compositions)


STRUCTURE_DIVERSITY = Metric(
    name="structure_diversity",
    title="diversity of structures",
    compute=_structure_diversity,
    source="Xie et al., arXiv:2110.06197; Gruver et al., arXiv:2402.04379",
    libraries=("pymatgen", "scipy"),
)

COMPOSITION_DIVERSITY = Metric(
    name="composition_diversity",
    title="diversity of compositions",
    compute=_composition_diversity,
    source="Xie et al., arXiv:2110.06197; Gruver et al., arXiv:2402.04379",
    libraries=("pymatgen", "scipy"),
)
