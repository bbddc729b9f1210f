"""Reports of this format and of earlier ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crystext.errors import InputError
from crystext.evaluate.html.write import render_page
from crystext.evaluate.published import published_tables
from crystext.evaluate.report import read_report
from tests.evaluate.html.example_report import report


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(report().model_dump_json())
    assert read_report(path) == report()
    assert json.loads(path.read_text())["format"] == 3


def test_a_report_of_format_1_reads(root: Path) -> None:
    path = root / "evaluation" / "results" / "2026-11-21_weights-9db51d8" / "report.json"
    old = json.loads(path.read_text())
    assert old["format"] == 1
    found = read_report(path)
    assert found.input.samples == old["input"]["attempts"] == 10_000
    assert found.provenance.date == old["made"]["date"]
    assert [step.proportion for step in found.funnel] == [step["share"] for step in old["funnel"]]
    assert [m.total for m in found.metrics] == [figure["of"] for figure in old["figures"]]
    assert {c.name: c.kind for c in found.counts if c.kind != "text"} == {
        "formulas": "formula",
        "elements": "element",
        "space_groups": "space_group",
    }
    assert found.reference_sets.keys() == old["sets"].keys()
    page = render_page(found, {}, [], published_tables(found.protocol))
    assert "MP-20" in page


def test_a_report_of_format_2_keeps_its_deviations(tmp_path: Path) -> None:
    told = {"what": "hull", "text": "hull m3gnet in place of mp2020"}
    old = json.loads(report().model_dump_json())
    old |= {
        "format": 2,
        "departures": [told],
        "made": old.pop("provenance"),
        "sets": old.pop("reference_sets"),
        "figures": [_old(x) for x in old.pop("metrics")],
        "shares": [_old(x) for x in old.pop("counts")],
        "funnel": [_old(x) for x in old["funnel"]],
        "input": {**old["input"], "attempts": old["input"]["samples"], "noted": 1},
    }
    for name in ("samples", "with_notes"):
        del old["input"][name]
    del old["protocol_deviations"]
    path = tmp_path / "report.json"
    path.write_text(json.dumps(old))
    found = read_report(path)
    assert [x.model_dump() for x in found.protocol_deviations] == [told]
    assert found.input.with_notes == 1
    assert found.metrics == report().metrics
    assert found.counts == report().counts
    assert found.funnel == report().funnel


def _old(part: dict[str, object]) -> dict[str, object]:
    names = {"proportion": "share", "total": "of", "reference_total": "reference_of"}
    return {names.get(name, name): value for name, value in part.items() if name != "kind"}


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is not JSON"), ("[]", "the file"), ('{"format": 4}', "format"), ("{}", "protocol")],
)
def test_what_is_not_a_report_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_report(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "absent.json")
