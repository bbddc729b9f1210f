"""Structure prediction: sample i is compared with target i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field

from crystext.errors import InputError
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.evaluate.stages.validity import ValiditySettings, check_validity
from crystext.metrics.structure_prediction import rms_distance
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.matching import MatchTolerances, map_groups, progress_counter
from crystext.structures.properties import reduced_formula

_CHUNK_SIZE = 50
"""Number of pairs in a work item."""


class PredictionSettings(CitedSettings):
    """When a predicted structure is correct."""

    ltol: float = Field(gt=0)
    stol: float = Field(gt=0)
    angle_tol: float = Field(gt=0)
    """Degrees."""
    both_valid: bool = True
    """Whether prediction and target must both be valid, as in DiffCSP."""

    @property
    def tolerances(self) -> MatchTolerances:
        """The tolerances of the matcher."""
        return MatchTolerances(self.ltol, self.stol, self.angle_tol)


class PredictionStage(Stage[PredictionSettings]):
    """Match rate and RMSE, given the true structures."""

    name, title = "prediction", "structure prediction"
    settings_model = PredictionSettings
    section = ReportSection("Structure prediction")
    columns = ("target_match", "target_rms", "target_formula_match")
    required_columns = ("valid",)
    libraries = ("pymatgen", "smact")

    def dependencies(self, context: StageContext, settings: PredictionSettings) -> dict[str, Any]:
        """Return the checksum of the targets."""
        return {"targets": context.reference_sets.get("targets").sha256}

    def measure(
        self, context: StageContext, settings: PredictionSettings, result: StageResult
    ) -> None:
        """Match each sample with its target."""
        validity = context.settings["validity"]
        assert isinstance(validity, ValiditySettings)
        n, known = len(context), context.reference_sets.get("targets")
        if len(known) != n:
            raise InputError(
                f"{known.title} holds {format_count(len(known), 'target')} for "
                f"{format_count(n, 'sample')}; expected one per sample, in their order"
            )
        targets = known.crystals
        sound = context.map_crystals(partial(_is_valid, settings=validity), targets)
        valid = context.columns["valid"]
        compared = [
            i
            for i in context.crystals
            if not settings.both_valid or (valid[i] is True and sound[i])
        ]
        pairs = [(context.crystals[i], targets[i]) for i in compared]
        chunks = [pairs[i : i + _CHUNK_SIZE] for i in range(0, len(pairs), _CHUNK_SIZE)]
        answers = map_groups(
            _PairDistances(settings.tolerances),
            chunks,
            context.workers,
            progress_counter(context.report_progress, len(chunks)),
        )
        distances = dict(zip(compared, (x for chunk in answers for x in chunk), strict=True))
        result.columns["target_rms"] = [distances.get(i) for i in range(n)]
        result.columns["target_match"] = context.per_sample(
            [distances.get(i) is not None for i in context.crystals]
        )
        same = context.per_sample(
            [
                reduced_formula(crystal.numbers) == reduced_formula(targets[i].numbers)
                for i, crystal in context.crystals.items()
            ]
        )
        result.columns["target_formula_match"] = same
        fits = [x for x in distances.values() if x is not None]
        rule = "pairs of valid crystals only" if settings.both_valid else "whether valid or not"
        result.add_proportion(
            "match_rate",
            "match rate",
            len(fits),
            n,
            better="higher",
            source=settings.source,
            note=rule,
        )
        result.add_mean(
            "rmse",
            "RMS distance of those that match",
            fits,
            nonnegative=True,
            better="lower",
            source=settings.source,
            note="in units of (V/N)^(1/3)",
        )
        result.add_proportion(
            "formula_match",
            "formula of the target",
            sum(x is True for x in same),
            n,
            better="higher",
        )
        result.add_proportion(
            "valid_targets",
            "targets that are valid",
            sum(sound),
            n,
            note="no method can match more where both have to be valid",
        )


@dataclass(frozen=True)
class _PairDistances:
    """RMS distances of pairs."""

    tolerances: MatchTolerances

    def __call__(self, pairs: Sequence[tuple[Crystal, Crystal]]) -> list[float | None]:
        return [rms_distance(crystal, target, self.tolerances) for crystal, target in pairs]


def _is_valid(crystal: Crystal, settings: ValiditySettings) -> bool:
    verdict = check_validity(crystal, settings)
    return verdict.structure_valid and verdict.composition_valid[settings.table, settings.alloys]


STAGE = PredictionStage()
