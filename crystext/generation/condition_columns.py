"""Conditions of one sample as columns of a table, and in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crystext.conditions import ConditionResult, all_satisfied


def condition_columns(records: Iterable[ConditionResult]) -> dict[str, Any]:
    """Return requested and actual values, and whether they agree, as columns of a table."""
    columns: dict[str, Any] = {}
    for record in records:
        columns[f"{record.name}_requested"] = record.requested
        columns[f"{record.name}_handling"] = record.handling
        columns[f"{record.name}_actual"] = record.actual
        columns[f"{record.name}_satisfied"] = record.satisfied
    return columns


def describe_conditions(records: Sequence[ConditionResult]) -> str:
    """Say in a few words whether the conditions are satisfied."""
    if all_satisfied(records):
        return "satisfied"
    return "not satisfied: " + ", ".join(r.name for r in records if r.satisfied is False)
