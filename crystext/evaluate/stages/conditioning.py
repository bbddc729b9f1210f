"""Whether crystals have what was asked for, looked at anew, whatever the run recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crystext.conditions import ConditionResult
from crystext.conditions.outcome import all_satisfied
from crystext.errors import InputError, SettingError, UnavailableError, describe_error
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import Stage, StageContext
from crystext.metrics.conditioning import check_conditions


class ConditioningStage(Stage):
    """Success of each condition, and of all together."""

    name, title = "conditioning", "conditioning"
    columns = ("conditions_kept",)
    libraries = ("spglib",)

    def measure(self, context: StageContext, result: StageResult) -> None:
        """Check each attempt's conditions."""
        rules = context.protocol.conditioning
        assert rules is not None
        attempts = context.sample_set.samples
        if not any(attempt.conditions for attempt in attempts):
            raise UnavailableError("no attempt was asked for anything, as far as the input says")
        records: list[tuple[ConditionResult, ...]] = []
        for done, attempt in enumerate(attempts, start=1):
            records.append(_check_conditions(attempt.name, attempt.conditions, attempt.crystal))
            if done % 100 == 0:
                context.report_progress(done, len(attempts))
        names = list(dict.fromkeys(record.name for row in records for record in row))
        asked = [bool(row) for row in records]
        all_kept = [
            None if not row else attempt.crystal is not None and all_satisfied(row)
            for row, attempt in zip(records, attempts, strict=True)
        ]
        result.columns["conditions_kept"] = all_kept
        result.add_proportion(
            "all",
            "all that was asked for and can be checked",
            sum(x is True for x in all_kept),
            sum(asked),
            better="higher",
            source=rules.source,
        )
        for name in names:
            kept = [next((x.satisfied for x in row if x.name == name), None) for row in records]
            result.columns[f"kept_{name}"] = kept
            known = [x for x in kept if x is not None]
            result.add_proportion(
                name,
                f"{name.replace('_', ' ')} as asked for",
                sum(known),
                len(known),
                better="higher",
                source=rules.source,
                note="" if known else "cannot be told from a crystal",
            )


def _check_conditions(
    name: str, conditions: Sequence[Mapping[str, Any]], crystal: Any
) -> tuple[ConditionResult, ...]:
    if not conditions:
        return ()
    try:
        return check_conditions(conditions, crystal)
    except (SettingError, KeyError, TypeError) as error:
        raise InputError(
            f"attempt {name} carries conditions that are none: "
            f"{describe_error(error, 'their names or values are others')}"
        ) from None
