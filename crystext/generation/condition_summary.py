"""How many attempts of a run keep what was asked of them, condition by condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Count:
    how: str
    asked: int = 0
    kept: int = 0
    untold: int = 0


@dataclass
class Tally:
    """Counts over the attempts of a run; faults are attempts that keep nothing."""

    attempts: int = 0
    matched: int = 0
    tries: int = 0
    counts: dict[str, _Count] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return a line for each condition, and one for all of them; none where none was asked."""
        lines = []
        for name, count in self.counts.items():
            if count.untold:
                lines.append(f"{name}: {count.how}; no crystal shows whether it is kept")
            else:
                lines.append(f"{name}: {count.how}, kept by {count.kept} of {count.asked}")
        if self.counts:
            by_tries = ""
            if self.tries > self.attempts:
                by_tries = f", by {self.tries / self.attempts:.1f} tries each"
            lines.append(f"all that can be checked: {self.matched} of {self.attempts}{by_tries}")
        return lines


def tally(attempts: Iterable[Mapping[str, Any]]) -> Tally:
    """Count over attempts as `run.read_attempts` yields them."""
    found = Tally()
    for attempt in attempts:
        found.attempts += 1
        found.matched += bool(attempt.get("matched"))
        found.tries += attempt.get("tries", 1)
        for record in attempt.get("conditions", ()):
            count = found.counts.setdefault(record["name"], _Count(record["how"]))
            count.asked += 1
            count.kept += record["kept"] is True
            count.untold += record["kept"] is None
    return found
