"""Coverage: which part of a reference set samples cover, and how many of them are close to it.

With d_s and d_c the Euclidean distances of structures' and of compositions' fingerprints, G the
generated and R the reference crystals,

    recall    = #{r : min_g d_s(g, r) <= δ_s and min_g d_c(g, r) <= δ_c} / |R|
    precision = #{g : min_r d_s(g, r) <= δ_s and min_r d_c(g, r) <= δ_c} / |G|
    AMSD, AMCD: means over r (recall) or g (precision) of the smallest distances

The two minima are independent: the nearest structure and the nearest composition may belong to
different crystals. Source: CDVAE, Xie et al., ICLR 2022, arXiv:2110.06197.

What goes wrong otherwise: |G| is the number of all samples in CDVAE, but of those with a
fingerprint in Gruver et al. (arXiv:2402.04379), and tables mix the two. Both are reported by name.
Recall grows with the number of samples: 1,000 and 10,000 cannot be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.metrics.base import Metric, MetricInput
from crystext.metrics.intervals import Proportion
from crystext.metrics.matminer.fingerprints import Fingerprints
from crystext.metrics.pairwise_distances import nearest_distances
from crystext.structures.crystal import Floats


class CoverageCutoffs(NamedTuple):
    """Largest distances at which a crystal is covered."""

    structure: float
    composition: float


COVERAGE_CUTOFFS = {
    "mp20": CoverageCutoffs(0.4, 10.0),
    "perov5": CoverageCutoffs(0.2, 4.0),
    "carbon24": CoverageCutoffs(0.2, 4.0),
}
"""CDVAE's, by benchmark."""


@dataclass(frozen=True)
class CoverageResult:
    """Coverage of a reference set by samples; rates are over all samples, failures included.

    Means of distances are over crystals with a fingerprint; nan if there are none.
    """

    recall: Proportion
    precision_of_all: Proportion
    """CDVAE's."""
    precision_of_fingerprinted: Proportion | None
    """Precision of Gruver et al.; None if no crystal has a fingerprint."""
    amsd_recall: float
    amsd_precision: float
    amcd_recall: float
    amcd_precision: float


class SetDistances(NamedTuple):
    """Distances to the nearest crystal of the other set, nan for those without a fingerprint."""

    structures_of_generated: Floats
    """Shape (G,)."""
    compositions_of_generated: Floats
    """Shape (G,)."""
    structures_of_reference: Floats
    """Shape (R,)."""
    compositions_of_reference: Floats
    """Shape (R,)."""

    def is_covered(self, limits: CoverageCutoffs) -> NDArray[np.bool_]:
        """Return which reference crystals are covered; shape (R,)."""
        # A comparison with nan is false.
        return (self.structures_of_reference <= limits.structure) & (
            self.compositions_of_reference <= limits.composition
        )

    def is_precise(self, limits: CoverageCutoffs) -> NDArray[np.bool_]:
        """Return which generated crystals cover a reference crystal; shape (G,)."""
        return (self.structures_of_generated <= limits.structure) & (
            self.compositions_of_generated <= limits.composition
        )


def set_distances(generated: Fingerprints, reference: Fingerprints) -> SetDistances:
    """Return the distance of each crystal of two sets to the nearest of the other."""
    made, known = generated.is_complete, reference.is_complete
    structures = nearest_distances(generated.structures[made], reference.structures[known])
    compositions = nearest_distances(generated.compositions[made], reference.compositions[known])
    return SetDistances(
        _scatter(structures.of_rows, made),
        _scatter(compositions.of_rows, made),
        _scatter(structures.of_columns, known),
        _scatter(compositions.of_columns, known),
    )


def coverage(
    generated: Fingerprints, reference: Fingerprints, limits: CoverageCutoffs, *, n_samples: int
) -> CoverageResult:
    """Measure coverage.

    Args:
        generated: generated crystals.
        reference: at least one crystal.
        limits: those of a benchmark are in `COVERAGE_CUTOFFS`.
        n_samples: number of samples, failures included.
    """
    return coverage_from_distances(set_distances(generated, reference), limits, n_samples=n_samples)


def coverage_from_distances(
    distances: SetDistances, limits: CoverageCutoffs, *, n_samples: int
) -> CoverageResult:
    """Measure coverage, given the distances; see `coverage`."""
    precise = int(distances.is_precise(limits).sum())
    fingerprinted = int((~np.isnan(distances.structures_of_generated)).sum())
    return CoverageResult(
        recall=Proportion(
            int(distances.is_covered(limits).sum()), len(distances.structures_of_reference)
        ),
        precision_of_all=Proportion(precise, n_samples),
        precision_of_fingerprinted=Proportion(precise, fingerprinted) if fingerprinted else None,
        amsd_recall=_finite_mean(distances.structures_of_reference),
        amsd_precision=_finite_mean(distances.structures_of_generated),
        amcd_recall=_finite_mean(distances.compositions_of_reference),
        amcd_precision=_finite_mean(distances.compositions_of_generated),
    )


def _scatter(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Return an array with the given values at some positions and nan elsewhere."""
    spread = np.full(len(where), np.nan)
    spread[where] = values
    return spread


def _finite_mean(distances: Floats) -> float:
    finite = np.isfinite(distances)
    return float(distances[finite].mean()) if finite.any() else float("nan")


def _coverage(samples: MetricInput) -> CoverageResult:
    known = samples.required("reference").fingerprints(samples.workers, samples.report)
    limits = COVERAGE_CUTOFFS["mp20"]
    return coverage(samples.fingerprints, known, limits, n_samples=len(samples.samples))


def _recall(samples: MetricInput) -> Proportion:
    return _coverage(samples).recall


def _precision(samples: MetricInput) -> Proportion:
    return _coverage(samples).precision_of_all


RECALL = Metric(
    name="recall",
    title="recall of the reference, cutoffs of MP-20",
    compute=_recall,
    better="higher",
    source="Xie et al., arXiv:2110.06197 (CDVAE)",
    requires=("reference",),
    libraries=("pymatgen", "scipy"),
)

PRECISION = Metric(
    name="precision",
    title="precision of all samples, cutoffs of MP-20",
    compute=_precision,
    better="higher",
    source="Xie et al., arXiv:2110.06197 (CDVAE)",
    requires=("reference",),
    libraries=("pymatgen", "scipy"),
)
