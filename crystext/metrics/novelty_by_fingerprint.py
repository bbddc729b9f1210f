"""Novelty by distance of fingerprints: crystals far from the whole training set.

    novel(i)  <=>  min over t of d_s(i, t) > 0.1   or   min over t of d_c(i, t) > 2

with the Euclidean distances d_s of structures' and d_c of compositions' fingerprints to crystals t
of the training set; the two minima are independent. Source: Gruver et al., arXiv:2402.04379.

What goes wrong otherwise: it is read as novelty by matching (see `novelty`), which it is not. A
known crystal with one element exchanged is novel by its composition alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crystext.metrics.base import Metric, MetricInput
from crystext.metrics.coverage import SetDistances, set_distances


def is_novel(
    distances: SetDistances, *, structure_distance: float = 0.1, composition_distance: float = 2.0
) -> NDArray[np.bool_]:
    """Return which crystals are novel; one without a fingerprint is not. Shape (G,).

    Args:
        distances: distances of generated crystals to the training set, by `coverage.set_distances`.
        structure_distance: distance beyond which a structure is novel.
        composition_distance: distance beyond which a composition is novel.
    """
    # A comparison with nan is false.
    return (distances.structures_of_generated > structure_distance) | (
        distances.compositions_of_generated > composition_distance
    )


def _novel(samples: MetricInput) -> list[bool | None]:
    known = samples.required("training").fingerprints(samples.workers, samples.report)
    novel: list[bool] = is_novel(set_distances(samples.fingerprints, known)).tolist()
    return samples.per_sample(novel)


NOVEL_BY_FINGERPRINT = Metric(
    name="novel_by_fingerprint",
    title="far from the training set by fingerprint",
    compute=_novel,
    better="higher",
    source="Gruver et al., arXiv:2402.04379",
    requires=("training",),
    libraries=("pymatgen", "scipy"),
)
