"""The result of one condition: the value requested, how it was applied, and the value found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ConditionMode = Literal["enforced", "steered", "checked"]
"""Enforced by the grammar; steered by a line in the prompt; or only checked in the crystal."""


@dataclass(frozen=True)
class ConditionResult:
    """One condition, and whether a crystal satisfies it."""

    name: str
    requested: str | int | float | bool
    handling: ConditionMode
    """`enforced` by the grammar, which leaves the model no other tokens; `steered` by a line in the
    prompt, which the model may ignore; or only `checked` in the crystal."""
    actual: str | int | float | bool | None
    """The measured value; None if it cannot be measured, or without a crystal."""
    satisfied: bool | None
    """None if the value cannot be measured."""


def all_satisfied(records: Iterable[ConditionResult]) -> bool:
    """Return whether all conditions that can be checked are satisfied."""
    return all(record.satisfied is not False for record in records)
