"""What relaxing changes: volumes, matches with the crystal as it was sampled, high energies.

All samples whose energies were requested are in every denominator; one without a relaxed crystal
counts as one that does not match, and is noted.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from crystext.errors import UnavailableError
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    ABOVE_HULL,
    ENERGY_REQUESTED,
    RELAXED_CIF,
    CitedSettings,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.metrics.base import Better
from crystext.metrics.relaxation_change import matches_relaxed, volume_change
from crystext.structures.matching import MatchTolerances


class RelaxationChangeSettings(CitedSettings):
    """When a change is large."""

    volume_changes: tuple[float, ...] = (0.1, 0.2)
    """Relative changes of the volume, exceeded; each is a metric."""
    high_energy: float = 0.5
    """eV/atom above the hull, exceeded."""
    ltol: float = Field(default=0.3, gt=0)
    stol: float = Field(default=0.5, gt=0)
    angle_tol: float = Field(default=10.0, gt=0)
    """Degrees."""

    @property
    def tolerances(self) -> MatchTolerances:
        """The tolerances of the matcher."""
        return MatchTolerances(self.ltol, self.stol, self.angle_tol)


class RelaxationChangeStage(Stage[RelaxationChangeSettings]):
    """Proportions of samples that relaxing changes."""

    name, title = "relaxation_change", "changes by relaxing"
    settings_model = RelaxationChangeSettings
    section = ReportSection("What relaxing changes")
    columns = ("volume_change", "matches_relaxed")
    required_columns = (ENERGY_REQUESTED, RELAXED_CIF, ABOVE_HULL)
    quantities = ("high_energy",)
    libraries = ("pymatgen",)

    def measure(
        self, context: StageContext, settings: RelaxationChangeSettings, result: StageResult
    ) -> None:
        """Compare each crystal with its relaxed self."""
        requested = sum(x is True for x in context.columns[ENERGY_REQUESTED])
        if not requested:
            raise UnavailableError("no energies were requested")
        relaxed = context.relaxed_crystals()
        pairs = {i: (context.crystals[i], after) for i, after in relaxed.items()}
        changes: list[float | None] = [None] * len(context)
        matches: list[bool | None] = [None] * len(context)
        found = matches_relaxed(
            list(pairs.values()),
            tolerances=settings.tolerances,
            workers=context.workers,
            report=context.report_progress,
        )
        for (i, pair), match in zip(pairs.items(), found, strict=True):
            changes[i], matches[i] = volume_change(*pair), match
        result.columns["volume_change"] = changes
        result.columns["matches_relaxed"] = matches
        known = [x for x in changes if x is not None]
        energies = [x for x in context.columns[ABOVE_HULL] if x is not None]
        _add_proportions(result, settings, known, matches, energies, requested)
        if known:
            result.add_histogram("volume_change", "relative change of the volume", known)


def _add_proportions(
    result: StageResult,
    settings: RelaxationChangeSettings,
    changes: Sequence[float],
    matches: Sequence[bool | None],
    energies: Sequence[float],
    requested: int,
) -> None:
    unrelaxed, unplaced = requested - len(changes), requested - len(energies)
    rows: list[tuple[str, str, int, Better, str]] = [
        (
            f"volume_change_above_{round(100 * limit)}",
            f"volume changes by more than {limit:.0%}",
            sum(x > limit for x in changes),
            "lower",
            f"{unrelaxed:,} more have no relaxed crystal" if unrelaxed else "",
        )
        for limit in settings.volume_changes
    ]
    rows += [
        (
            "matches_relaxed",
            "matches its own relaxed self",
            sum(x is True for x in matches),
            "higher",
            f"StructureMatcher ltol {settings.ltol:g}, stol {settings.stol:g}, "
            f"{settings.angle_tol:g}°",
        ),
        (
            "high_energy",
            f"more than {settings.high_energy:g} eV/atom above the hull",
            sum(x > settings.high_energy for x in energies),
            "lower",
            f"{unplaced:,} more have no energy above the hull" if unplaced else "",
        ),
    ]
    for name, title, count, better, words in rows:
        result.add_proportion(
            name, title, count, requested, better=better, source=settings.source, note=words
        )


STAGE = RelaxationChangeStage()
