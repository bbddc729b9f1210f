"""Counts of the samples of a run that satisfy each condition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _ConditionCount:
    how: str
    requested: int = 0
    satisfied: int = 0
    unchecked: int = 0


@dataclass
class ConditionSummary:
    """Counts over the samples of a run; failures satisfy no condition."""

    attempts: int = 0
    satisfied: int = 0
    texts_drawn: int = 0
    counts: dict[str, _ConditionCount] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    """Texts that missed each condition, those drawn again included; empty if none was."""

    def lines(self) -> list[str]:
        """Return a line for each condition and one for all of them; no lines without conditions."""
        lines = []
        for name, count in self.counts.items():
            if count.unchecked:
                lines.append(f"{name}: {count.how}; cannot be checked in a crystal")
            else:
                lines.append(
                    f"{name}: {count.how}, satisfied by {count.satisfied} of {count.requested}"
                )
        if self.counts:
            by_tries = ""
            if self.texts_drawn > self.attempts:
                by_tries = f", by {self.texts_drawn / self.attempts:.1f} attempts each"
            lines.append(f"all that can be checked: {self.satisfied} of {self.attempts}{by_tries}")
        if self.refused:
            lines.append(self._refused_line())
        return lines

    def _refused_line(self) -> str:
        parts = [f"{name.replace('_', ' ')} {n}" for name, n in self.refused.most_common()]
        several = " (a text may miss several)" if len(parts) > 1 else ""
        return (
            f"yield: {self.satisfied} of {self.texts_drawn} texts "
            f"({self.satisfied / self.texts_drawn:.0%}); refused for: {', '.join(parts)}{several}"
        )


def summarize_conditions(attempts: Iterable[Mapping[str, Any]]) -> ConditionSummary:
    """Count over samples as `run.read_attempts` yields them."""
    found = ConditionSummary()
    for attempt in attempts:
        found.attempts += 1
        found.satisfied += bool(attempt.get("satisfied"))
        found.texts_drawn += attempt.get("attempts", 1)
        found.refused.update(attempt.get("refused", {}))
        for record in attempt.get("conditions", ()):
            count = found.counts.setdefault(record["name"], _ConditionCount(record["handling"]))
            count.requested += 1
            count.satisfied += record["satisfied"] is True
            count.unchecked += record["satisfied"] is None
    return found
