"""Whether crystals have what was asked for, looked at anew, whatever the run recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crystext.conditions import Kept
from crystext.conditions.outcome import matched
from crystext.errors import InputError, SettingError, UnavailableError, in_words
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.metrics.conditioning import kept_conditions


class Conditioning(Stage):
    """Success of each condition, and of all together."""

    name, title = "conditioning", "conditioning"
    columns = ("conditions_kept",)
    libraries = ("spglib",)

    def measure(self, context: Context, found: Findings) -> None:
        """Check each attempt's conditions."""
        rules = context.protocol.conditioning
        assert rules is not None
        attempts = context.input.attempts
        if not any(attempt.conditions for attempt in attempts):
            raise UnavailableError("no attempt was asked for anything, as far as the input says")
        records: list[tuple[Kept, ...]] = []
        for done, attempt in enumerate(attempts, start=1):
            records.append(_checked(attempt.name, attempt.conditions, attempt.crystal))
            if done % 100 == 0:
                context.report(done, len(attempts))
        names = list(dict.fromkeys(record.name for row in records for record in row))
        asked = [bool(row) for row in records]
        all_kept = [
            None if not row else attempt.crystal is not None and matched(row)
            for row, attempt in zip(records, attempts, strict=True)
        ]
        found.columns["conditions_kept"] = all_kept
        found.share("all", "all that was asked for and can be checked",
                    sum(x is True for x in all_kept), sum(asked), better="higher",
                    source=rules.source)  # fmt: skip
        for name in names:
            kept = [next((x.kept for x in row if x.name == name), None) for row in records]
            found.columns[f"kept_{name}"] = kept
            known = [x for x in kept if x is not None]
            found.share(name, f"{name.replace('_', ' ')} as asked for", sum(known), len(known),
                        better="higher", source=rules.source,
                        note="" if known else "cannot be told from a crystal")  # fmt: skip


def _checked(name: str, asked: Sequence[Mapping[str, Any]], crystal: Any) -> tuple[Kept, ...]:
    if not asked:
        return ()
    try:
        return kept_conditions(asked, crystal)
    except (SettingError, KeyError, TypeError) as error:
        raise InputError(
            f"attempt {name} carries conditions that are none: "
            f"{in_words(error, 'their names or values are others')}"
        ) from None
