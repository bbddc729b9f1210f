"""Faults of files of settings, in words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from crystext.runtime.schema import (
    StrictModel,
    rename_settings,
    renamed_setting,
    setting_faults,
)


class Item(StrictModel):
    width: float


class Section(StrictModel):
    steps: int = Field(gt=0)
    rate: float = 1.0


class Whole(StrictModel):
    title: str
    section: Section
    other: Section | None = None
    rows: list[Item] = Field(default_factory=list)
    columns: dict[str, Item] = Field(default_factory=dict)


def faults(**values: Any) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        Whole.model_validate({"title": "x", "section": {"steps": 1}} | values)
    return setting_faults(refused.value, Whole, also=["plugin"])


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"section": {"steps": "many"}}, "section.steps: expected a whole number (found 'many')"),
        ({"section": {"steps": 0}}, "section.steps: expected a number above 0 (found 0)"),
        ({"section": {}}, "section.steps: is missing"),
        ({"titel": "x"}, "titel: no such setting. Did you mean 'title'?"),
        ({"plugins": {}}, "plugins: no such setting. Did you mean 'plugin'?"),
        ({"steps": 3}, "steps: no such setting. Did you mean 'section.steps'?"),
        ({"other": {"step": 3, "steps": 1}},
         "other.step: no such setting. Did you mean 'steps'?"),
        ({"rows": [{"width": 1}, {"widht": 2, "width": 1}]},
         "rows.1.widht: no such setting. Did you mean 'width'?"),
        ({"columns": {"a": {"height": 2, "width": 1}}},
         "columns.a.height: no such setting; there are width"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what_is_expected(values: dict[str, Any], fault: str) -> None:
    assert faults(**values) == [fault]


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(section={"steps": 0, "rate": "fast"}, titel="x")) == 3


RENAMED = {"old": "new", "section.former": "section.present"}


def test_former_names_are_replaced_and_both_at_once_are_a_fault() -> None:
    values: dict[str, Any] = {"old": {"a": 1}, "section": {"former": 2}}
    assert rename_settings(values, RENAMED) == []
    assert values == {"new": {"a": 1}, "section": {"present": 2}}
    assert rename_settings(values, RENAMED) == []
    values = {"old": 1, "new": 2, "section": None}
    assert rename_settings(values, RENAMED) == [
        "old is the former name of new, and both are given; leave it out"
    ]
    assert values["new"] == 2


@pytest.mark.parametrize(
    ("override", "now"),
    [
        ("old.a=1", "new.a=1"),
        ("section.former=1", "section.present=1"),
        ("older=old", "older=old"),
        ("old", "new"),
    ],
)
def test_overrides_have_present_names(override: str, now: str) -> None:
    assert renamed_setting(override, RENAMED) == now
