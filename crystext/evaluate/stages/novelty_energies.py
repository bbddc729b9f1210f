"""Energies by novelty: of the samples of each degree of novelty, how many are metastable.

A degree's denominator is its samples whose energies were requested, those without one included.
"""

from __future__ import annotations

from crystext.errors import UnavailableError
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    ENERGY_REQUESTED,
    CitedSettings,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.evaluate.stages.novelty import DEGREE_TITLES
from crystext.metrics.prototypes import Novelty


class NoveltyEnergiesSettings(CitedSettings):
    """Degrees as in the stage novelty; metastable as in the stage stability."""


class NoveltyEnergiesStage(Stage[NoveltyEnergiesSettings]):
    """Proportions of metastable samples within each degree of novelty."""

    name, title = "novelty_energies", "energies by novelty"
    settings_model = NoveltyEnergiesSettings
    section = ReportSection("Energies by novelty", within="novelty")
    required_columns = ("novelty_degree", ENERGY_REQUESTED, "metastable")
    affected_by = {  # noqa: RUF012
        what: frozenset({"novelty_energies"}) for what in ("training", "potential", "hull")
    }

    def measure(
        self, context: StageContext, settings: NoveltyEnergiesSettings, result: StageResult
    ) -> None:
        """Count metastable samples of each degree."""
        degrees = context.columns["novelty_degree"]
        requested = context.columns[ENERGY_REQUESTED]
        metastable = context.columns["metastable"]
        if not any(requested):
            raise UnavailableError("no energies were requested")
        if not any(degrees):
            result.note = "no degree of novelty is known; --train names the training set"
            return
        for degree in Novelty:
            of_degree = [
                i for i, x in enumerate(degrees) if x == degree.label and requested[i] is True
            ]
            result.add_proportion(
                f"{degree.label}_metastable",
                f"metastable, {DEGREE_TITLES[degree]}",
                sum(metastable[i] is True for i in of_degree),
                len(of_degree),
                better="higher",
                source=settings.source,
            )


STAGE = NoveltyEnergiesStage()
