"""Whether crystals satisfy their conditions, checked here whatever the run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystext.conditions import ConditionResult
from crystext.conditions.outcome import all_satisfied
from crystext.errors import InputError, SettingError, UnavailableError, describe_error
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.metrics.conditioning import check_conditions


class ConditioningSettings(CitedSettings):
    """How conditions are checked: see `metrics.conditioning`."""


class ConditioningStage(Stage[ConditioningSettings]):
    """Success of each condition, and of all together."""

    name, title = "conditioning", "conditioning"
    settings_model = ConditioningSettings
    section = ReportSection("Conditions")
    columns = ("conditions_satisfied",)
    version = 2
    libraries = ("spglib",)

    def measure(
        self, context: StageContext, settings: ConditioningSettings, result: StageResult
    ) -> None:
        """Check each sample's conditions."""
        samples = context.sample_set.samples
        if not any(sample.conditions for sample in samples):
            raise UnavailableError("the input records no conditions of samples")
        checked: list[tuple[ConditionResult, ...]] = []
        for done, sample in enumerate(samples, start=1):
            checked.append(_check_conditions(sample.name, sample.conditions, sample.crystal))
            if done % 100 == 0:
                context.report_progress(done, len(samples))
        names = list(dict.fromkeys(condition.name for row in checked for condition in row))
        satisfied = [
            None if not row else sample.crystal is not None and all_satisfied(row)
            for row, sample in zip(checked, samples, strict=True)
        ]
        result.columns["conditions_satisfied"] = satisfied
        result.add_proportion(
            "all",
            "all conditions that can be checked",
            sum(x is True for x in satisfied),
            sum(map(bool, checked)),
            better="higher",
            source=settings.source,
        )
        for name in names:
            of_name = [next((x.satisfied for x in row if x.name == name), None) for row in checked]
            result.columns[f"{name}_satisfied"] = of_name
            known = [x for x in of_name if x is not None]
            result.add_proportion(
                name,
                f"{name.replace('_', ' ')} as requested",
                sum(known),
                len(known),
                better="higher",
                source=settings.source,
                note="" if known else "cannot be told from a crystal",
            )


def _check_conditions(
    name: str, conditions: Mapping[str, Any], crystal: Any
) -> tuple[ConditionResult, ...]:
    if not conditions:
        return ()
    try:
        return check_conditions(conditions, crystal)
    except (SettingError, TypeError) as error:
        raise InputError(
            f"the conditions of sample {name} cannot be read: "
            f"{describe_error(error, 'their names or values are unknown')}"
        ) from None


STAGE = ConditioningStage()
