"""Structure prediction: sample i is compared with target i."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from crystext.errors import InputError
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    EvaluationOptions,
    MatchingSettings,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.evaluate.stages.validity import ValiditySettings, check_validity
from crystext.metrics.structure_prediction import rms_distance
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.matching import MatchTolerances, match_groups
from crystext.structures.properties import reduced_formula

_CHUNK_SIZE = 50
"""Number of pairs in a work item."""


class PredictionSettings(MatchingSettings):
    """When a predicted structure is correct."""

    both_valid: bool = True
    """Whether prediction and target must both be valid, as in DiffCSP."""


class PredictionStage(Stage[PredictionSettings]):
    """Match rate and RMSE, given the true structures."""

    name, title = "prediction", "structure prediction"
    settings_model = PredictionSettings
    section = ReportSection("Structure prediction")
    columns = ("target_match", "target_rms", "target_formula_match")
    required_columns = ("valid",)
    libraries = ("pymatgen", "smact")

    def is_requested(self, options: EvaluationOptions) -> bool:
        """Return whether there are targets."""
        return options.targets is not None

    def dependencies(self, context: StageContext, settings: PredictionSettings) -> dict[str, Any]:
        """Return the checksum of the targets."""
        return {"targets": context.reference_sets.get("targets").sha256}

    def measure(
        self, context: StageContext, settings: PredictionSettings, result: StageResult
    ) -> None:
        """Match each sample with its target."""
        n, known = len(context), context.reference_sets.get("targets")
        if len(known) != n:
            raise InputError(
                f"{known.title} holds {format_count(len(known), 'target')} for "
                f"{format_count(n, 'sample')}; expected one per sample, in their order"
            )
        targets = known.crystals
        validity = context.settings["validity"]
        assert isinstance(validity, ValiditySettings)
        valid_targets = context.map_crystals(partial(is_valid, settings=validity), targets)
        distances = _rms_distances(context, settings, targets, valid_targets)
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
            sum(valid_targets),
            n,
            note="no method can match more where both have to be valid",
        )


def _rms_distances(
    context: StageContext,
    settings: PredictionSettings,
    targets: Sequence[Crystal],
    valid_targets: Sequence[bool],
) -> dict[int, float | None]:
    """Return the RMS distance of each compared sample from its target; None without a match.

    With `both_valid`, only pairs of valid crystals are compared.
    """
    valid = context.columns["valid"]
    compared = [
        i
        for i in context.crystals
        if not settings.both_valid or (valid[i] is True and valid_targets[i])
    ]
    pairs = [(context.crystals[i], targets[i]) for i in compared]
    answers = match_groups(
        _distances_of_pairs,
        [pairs[i : i + _CHUNK_SIZE] for i in range(0, len(pairs), _CHUNK_SIZE)],
        settings.tolerances,
        context.workers,
        context.report_progress,
    )
    return dict(zip(compared, (x for chunk in answers for x in chunk), strict=True))


def _distances_of_pairs(
    pairs: Sequence[tuple[Crystal, Crystal]], tolerances: MatchTolerances
) -> list[float | None]:
    return [rms_distance(crystal, target, tolerances) for crystal, target in pairs]


def is_valid(crystal: Crystal, settings: ValiditySettings) -> bool:
    """Return whether a crystal is valid in structure and composition."""
    result = check_validity(crystal, settings)
    return result.structure_valid and result.composition_valid[settings.table, settings.alloys]


STAGE = PredictionStage()
