"""The record of one condition: what was asked, how it was seen to, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ConditionMode = Literal["enforced", "steered", "checked"]
"""Seen to while drawing; asked for in the prompt; or only looked for afterwards."""


@dataclass(frozen=True)
class ConditionResult:
    """One condition, and whether a crystal keeps it."""

    name: str
    requested: str | int | float | bool
    handling: ConditionMode
    actual: str | int | float | bool | None
    """What the crystal has; None where nothing here can tell, or where there is no crystal."""
    satisfied: bool | None
    """None where nothing here can tell."""


def all_satisfied(records: Iterable[ConditionResult]) -> bool:
    """Say whether all conditions that can be checked are kept."""
    return all(record.satisfied is not False for record in records)
