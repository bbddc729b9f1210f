"""Coverage of the reference set by the samples, precision of the samples, and diversity."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.metrics.coverage import (
    CoverageCutoffs,
    CoverageResult,
    coverage_from_distances,
    set_distances,
)
from crystext.metrics.diversity import mean_pairwise_distance
from crystext.metrics.intervals import Proportion
from crystext.metrics.matminer.fingerprints import Fingerprints
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Floats


class CoverageSettings(CitedSettings):
    """When a crystal is covered."""

    structure: float = Field(gt=0)
    """Largest distance of the structures' fingerprints."""
    composition: float = Field(gt=0)
    """Largest distance of the compositions' fingerprints."""

    @property
    def cutoffs(self) -> CoverageCutoffs:
        """Both distances."""
        return CoverageCutoffs(self.structure, self.composition)


class CoverageStage(Stage[CoverageSettings]):
    """Coverage of the reference by fingerprints, and diversity."""

    name, title = "coverage", "coverage"
    settings_model = CoverageSettings
    section = ReportSection("Coverage")
    affected_by = {"reference": frozenset({"coverage"})}  # noqa: RUF012
    quantities = ("recall", "precision")
    columns = ("has_fingerprint", "nearest_structure", "nearest_composition", "covers_reference")
    libraries = ("pymatgen", "scipy")

    def dependencies(self, context: StageContext, settings: CoverageSettings) -> dict[str, Any]:
        """Return the checksum of the reference."""
        return {"reference": context.reference.sha256}

    def measure(
        self, context: StageContext, settings: CoverageSettings, result: StageResult
    ) -> None:
        """Compare fingerprints."""
        reference, n = context.reference, len(context)
        known = reference.fingerprints(context.workers, context.report_progress)
        made = context.fingerprints()
        far = set_distances(made, known)
        coverage = coverage_from_distances(far, settings.cutoffs, n_samples=n)
        spread = context.per_sample
        result.columns["has_fingerprint"] = spread(made.is_complete.tolist())
        result.columns["nearest_structure"] = spread(far.structures_of_generated.tolist())
        result.columns["nearest_composition"] = spread(far.compositions_of_generated.tolist())
        result.columns["covers_reference"] = spread(far.is_precise(settings.cutoffs).tolist())
        _add_recall_and_precision(result, coverage, settings, reference.title, n)

        def distance(name: str, title: str, values: Floats) -> None:
            result.add_mean(
                name,
                title,
                values.tolist(),
                nonnegative=True,
                better="lower",
                source=settings.source,
            )

        distance("amsd_recall", "AMSD, recall", far.structures_of_reference)
        distance("amsd_precision", "AMSD, precision", far.structures_of_generated)
        distance("amcd_recall", "AMCD, recall", far.compositions_of_reference)
        distance("amcd_precision", "AMCD, precision", far.compositions_of_generated)
        _add_diversity(result, made, known, settings.source)
        missing, lacking = int((~made.is_complete).sum()), int((~known.is_complete).sum())
        if missing or lacking:
            result.note = (
                f"without a fingerprint: {format_count(missing, 'sampled crystal')}, "
                f"{lacking:,} of the reference"
            )


def _add_recall_and_precision(
    result: StageResult,
    coverage: CoverageResult,
    settings: CoverageSettings,
    reference_title: str,
    n_samples: int,
) -> None:
    cutoffs = f"structure {settings.structure:g}, composition {settings.composition:g}"

    def add(name: str, title: str, value: Proportion, note: str) -> None:
        result.add_proportion(
            name,
            title,
            value.count,
            value.total,
            better="higher",
            source=settings.source,
            note=f"{cutoffs}; {note}",
        )

    by = f"by {format_count(n_samples, 'sample')}"
    add("recall", f"recall of {reference_title}", coverage.recall, by)
    add("precision", "precision, of all samples", coverage.precision_of_all, "CDVAE's rule")
    if (fingerprinted := coverage.precision_of_fingerprinted) is not None:
        add(
            "precision_of_fingerprinted",
            "precision, of those with a fingerprint",
            fingerprinted,
            "the rule of Gruver et al.",
        )


def _add_diversity(
    result: StageResult, samples: Fingerprints, reference: Fingerprints, source: str
) -> None:
    for kind, rows, others in (
        ("structure", samples.structures, reference.structures),
        ("composition", samples.compositions, reference.compositions),
    ):
        value, own = mean_pairwise_distance(rows), mean_pairwise_distance(others)
        result.add_value(
            f"{kind}_diversity",
            f"diversity of {kind}s",
            value,
            total=int(np.isfinite(rows).all(axis=1).sum()),
            source=source,
            note=f"mean pairwise distance; of the reference {own:.3f}",
        )


STAGE = CoverageStage()
