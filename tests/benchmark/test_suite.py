"""A suite is read whole or refused with all of its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crystext.benchmark.suite import (
    choose_input,
    dataset_files,
    load_suite,
    select_tasks,
    suite_names,
)
from crystext.errors import SettingError

MINE = {
    "title": "mine",
    "inputs": {"formula": {"representation": "formula", "columns": ["composition"]}},
    "files": {"table": "{dataset}.csv"},
    "split": {"kind": "formula_folds"},
    "datasets": {"gaps": {"title": "gaps", "properties": {"gap": {"title": "gap", "unit": "eV"}}}},
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**MINE, **changes}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "datasets", "tasks"), [("llm4mat", 10, 65), ("matbench", 9, 9), ("moleculenet", 8, 20)]
)
def test_shipped_suites_have_their_tasks(name: str, datasets: int, tasks: int) -> None:
    suite = load_suite(name)
    assert (len(suite.datasets), len(select_tasks(suite))) == (datasets, tasks)


def test_the_shipped_suites_are_those_of_the_help(root: Path) -> None:
    assert suite_names() == tuple(
        sorted(x.stem for x in (root / "evaluation/suites").glob("*.yaml"))
    )


def test_a_file_of_ones_own_is_a_suite(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    (task,) = select_tasks(suite)
    assert (suite.name, task.name, task.target().unit) == ("mine", "gaps/gap", "eV")
    assert dataset_files(suite, "gaps") == {"table": "gaps.csv"}


def test_every_error_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        titel="x",
        inputs={"formula": {"representation": "formular", "columns": []}},
        datasets={
            "gaps": {"title": "gaps", "properties": {"gap": {"title": "gap", "kind": "bool"}}}
        },
    )
    with pytest.raises(SettingError) as raised:
        load_suite(path)
    message = str(raised.value)
    assert "titel: no such setting. Did you mean 'title'?" in message
    assert "inputs.formula.columns" in message
    assert "datasets.gaps.properties.gap.kind: expected 'number' or 'boolean'" in message


def test_an_unknown_representation_is_named(tmp_path: Path) -> None:
    inputs = {"formula": {"representation": "formular", "columns": ["x"]}}
    with pytest.raises(SettingError, match=r"no representation 'formular'.*Did you mean 'formula'"):
        load_suite(write(tmp_path, inputs=inputs))


def test_a_single_table_needs_a_split(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="gaps: a single table needs a split"):
        load_suite(write(tmp_path, split=None))


@pytest.mark.parametrize("files", [{}, {"train": "a"}, {"table": "a", "test": "b"}])
def test_files_are_a_table_or_parts(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="expected either table, or train and test"):
        load_suite(write(tmp_path, files=files))


def test_a_split_leaves_rows_to_train(tmp_path: Path) -> None:
    split = {"kind": "random", "test": 0.5, "validation": 0.5}
    with pytest.raises(SettingError, match="take 1 of the rows; expected less than 1"):
        load_suite(write(tmp_path, split=split))


@pytest.mark.parametrize("text", ["", "a: [", "- 1"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SettingError, match=r"x\.yaml is not"):
        load_suite(tmp_path / "x.yaml")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    suite = load_suite("llm4mat")
    for call, near in (
        (lambda: load_suite("llm4mta"), "llm4mat"),
        (lambda: select_tasks(suite, ["gnom"]), "gnome"),
        (lambda: select_tasks(suite, ["band_gap"]), "mp/band_gap"),
        (lambda: choose_input(suite, "descripton"), "description"),
    ):
        with pytest.raises(SettingError, match=f"Did you mean '{near}'"):
            call()


def test_tasks_are_chosen_by_data_set_or_name() -> None:
    suite = load_suite("llm4mat")
    chosen = select_tasks(suite, ["omdb", "mp/volume"])
    assert [task.name for task in chosen] == ["mp/volume", "omdb/bandgap"]


def test_an_input_has_its_name_or_that_of_its_representation() -> None:
    suite = load_suite("llm4mat")
    assert [choose_input(suite, x) for x in (None, "cif", "cif_structure")] == [
        "formula",
        "cif_structure",
        "cif_structure",
    ]
