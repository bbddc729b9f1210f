from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crystext.errors import SettingError
from crystext.evaluate.funnel import funnel
from crystext.evaluate.published import metric_for_column, published_tables, read_published_table
from crystext.runtime.shipped_files import shipped_path
from tests.evaluate.html.example_report import report
from tests.example_crystals import NACL, WURTZITE

SHIPPED = sorted(shipped_path("evaluation", "reference").glob("*.yaml"))
each_block = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)

BLOCK: dict[str, Any] = {
    "title": "a block",
    "paper": "A. Author, 2024",
    "address": "https://arxiv.org/abs/2402.04379",
    "table": "Table 1",
    "data": "MP-20",
    "protocols": ["mine"],
    "columns": {"valid": {"title": "valid", "of": "samples", "share": True, "better": "higher"}},
    "rows": [{"system": "theirs", "values": {"valid": 0.9}}],
}


def write(folder: Path, block: Any, name: str = "block.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(block), encoding="utf-8")
    return path


def faults(folder: Path, **changes: Any) -> str:
    with pytest.raises(SettingError) as raised:
        read_published_table(write(folder, {**BLOCK, **changes}))
    return str(raised.value)


@each_block
def test_every_shipped_row_names_paper_place_and_denominator(path: Path) -> None:
    block = read_published_table(path)
    assert block.paper
    assert block.table
    assert all(column.of for column in block.columns.values())
    assert block.address.scheme == "https"


@each_block
def test_shipped_shares_are_those_of_the_paper_not_percents(path: Path) -> None:
    block = read_published_table(path)
    for row in block.rows:
        for name, value in row.values.items():
            assert value >= 0
            assert not block.columns[name].share or value <= 1


def test_blocks_are_found_by_protocol(tmp_path: Path) -> None:
    write(tmp_path, BLOCK, "b.yaml")
    write(tmp_path, {**BLOCK, "title": "first"}, "a.yaml")
    write(tmp_path, {**BLOCK, "protocols": ["other"]}, "c.yaml")
    assert [block.title for block in published_tables("mine", tmp_path)] == ["first", "a block"]
    assert published_tables("unheard of", tmp_path) == []


def test_a_column_is_measured_by_figure_step_or_formulas() -> None:
    made = report()
    column = read_published_table(SHIPPED[0]).columns["metastable"]

    def value(ours: str | None) -> float | None:
        found = metric_for_column(made, column.model_copy(update={"ours": ours}))
        return None if found is None else found.value

    assert value("validity.structure_valid") == 6 / 8
    assert value("funnel.parsed") == 6 / 8
    # Six crystals are parsed, two of them of one formula.
    assert value("formulas.parsed") == 5 / 8
    assert [value(x) for x in ("validity.other", "funnel.other", "nonsense", None)] == [None] * 4


def test_all_faults_of_a_block_are_told_at_once(tmp_path: Path) -> None:
    told = faults(tmp_path, tabel="Table 1", protocols=[], rows=[{"system": " ", "values": {}}])
    assert "tabel: no such setting. Did you mean 'table'?" in told
    assert "protocols" in told
    assert "rows.0.system" in told
    assert "rows.0.values" in told


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"valid": 49.8}, "theirs: valid is a proportion, found 49.8; write .498"),
        ({"vlaid": 0.5}, "there is no column 'vlaid'. Did you mean 'valid'?"),
        ({"valid": float("nan")}, "rows.0.values.valid"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    tmp_path: Path, values: dict[str, float], expected: str
) -> None:
    assert expected in faults(tmp_path, rows=[{"system": "theirs", "values": values}])


def test_a_column_without_a_value_is_refused(tmp_path: Path) -> None:
    columns = {**BLOCK["columns"], "other": {"title": "other", "of": "samples"}}
    assert "no row has a value for the column 'other'" in faults(tmp_path, columns=columns)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: 1"])
def test_what_is_no_block_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SettingError, match=r"x\.yaml"):
        read_published_table(tmp_path / "x.yaml")
    with pytest.raises(SettingError, match="cannot be read"):
        read_published_table(tmp_path / "missing.yaml")


def test_every_figure_of_ours_that_a_column_names_is_one_that_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crystext.evaluate.run import evaluate_samples
    from crystext.evaluate.stages.base import EvaluationOptions
    from crystext.io.write import write_crystals

    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    known = tmp_path / "known.extxyz"
    write_crystals([("salt", NACL), ("wurtzite", WURTZITE)], known)
    made = evaluate_samples(
        known,
        "mp20",
        tmp_path / "out",
        only=["validity", "novelty", "coverage", "distributions", "prediction"],
        options=EvaluationOptions(reference=str(known), training=str(known), targets=str(known)),
    )
    twenty = tmp_path / "twenty.extxyz"
    pairs = (("salt", NACL), ("wurtzite", WURTZITE))
    write_crystals([(f"{name}_{i}", x) for name, x in pairs for i in range(20)], twenty)
    asked = evaluate_samples(
        twenty,
        "csp-mp20",
        tmp_path / "asked",
        options=EvaluationOptions(reference=str(known)),
    )
    made = made.model_copy(update={"metrics": [*made.metrics, *asked.metrics]})
    demands = ("parsed", "structure_valid", "valid", "unique", "novel", "metastable", "stable")
    steps = funnel({**{name: [True] for name in demands}, "formula": ["NaCl"]}, 1)
    complete = made.model_copy(update={"funnel": steps})
    for path in SHIPPED:
        for name, column in read_published_table(path).columns.items():
            if column.ours is not None:
                assert metric_for_column(complete, column) is not None, f"{path.stem}: {name}"
