"""Run a grid: what it writes is a study, whoever runs it and however often it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import RunError, SettingError
from crystext.study.cells import GridCell, cell_name, chosen_cells, grid_cells
from crystext.study.grid import Grid, load_grid
from crystext.study.grid_checks import check_grid
from crystext.study.run import run_study
from crystext.study.tables import read_study
from crystext.study.targets import n_targets
from tests.study.example_grid import write_grid, write_table

pytest.importorskip("rdkit")

SMALL = {
    "architectures": ["roberta", "llama"],
    "sizes": {"S": {"parameters": 12_000, "heads": 2, "layers": 2}},
    "data": {"tables": ["table.csv"], "sizes": ["8"], "validation": 0.2},
    "seeds": [0],
    "pretraining": {"epochs": 2, "batch_sequences": 4, "max_tokens": 24, "dropout": 0.1},
    "fine_tuning": {"epochs": 3, "repeats": 2, "hidden": [8]},
    "tasks": {
        "y": {"table": "table.csv", "target": "y", "split": {"kind": "random"}},
        "yes": {"table": "table.csv", "target": "yes", "kind": "boolean",
                "split": {"kind": "random", "validation": 0.3, "test": 0.3}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_table(tmp_path_factory.mktemp("grid"))
    return write_grid(folder, **SMALL)


@pytest.fixture(scope="module")
def whole(grid_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    assert run_study(load_grid(grid_file), grid_file.parent, out) == []
    return out


def test_a_report_reads_what_a_run_writes(whole: Path) -> None:
    study = read_study(whole)
    assert study.factors["architecture"] == ("RoBERTa", "LLaMA")
    assert study.n_rows == 2 * 2 * 2 * 2 * 3  # cells, tasks, repeats, epochs of both kinds
    assert study.n_not_finite == 0
    assert {curve.part for curve in study.pretraining_losses} == {"train", "validation"}
    assert all(
        curve.epochs == (0, 1, 2)
        for curve in study.pretraining_losses
        if curve.part == "validation"
    )
    assert {task.metric for task in study.tasks} == {"RMSE", "ROC AUC"}


def test_parts_of_a_study_share_its_cells(grid_file: Path, whole: Path, tmp_path: Path) -> None:
    grid, out = load_grid(grid_file), tmp_path / "out"
    names = [cell_name(i, cell) for i, cell in enumerate(_cells(grid))]
    assert run_study(grid, grid_file.parent, out, part="2/2") == names[:1]
    assert len(read_study(out).cells) == 1
    assert run_study(grid, grid_file.parent, out, part="1/2") == []
    assert (out / "runs.jsonl").read_bytes() == (whole / "runs.jsonl").read_bytes()


def test_another_grid_is_refused(grid_file: Path, whole: Path) -> None:
    grid = load_grid(grid_file)
    other = grid.model_copy(update={"seeds": [1]})
    with pytest.raises(RunError, match="seeds"):
        run_study(other, grid_file.parent, whole)


def test_faults_are_refused_before_anything_is_trained(grid_file: Path, tmp_path: Path) -> None:
    write_table(tmp_path)
    many = {"tables": ["table.csv"], "sizes": ["10", "5k"]}
    words = {"bpe": {"kind": "byte_bpe", "vocabulary": 100}, "crystal": {"kind": "crystal"}}
    grid = load_grid(write_grid(tmp_path, **{**SMALL, "data": many, "tokenizers": words}))
    with pytest.raises(SettingError) as error:
        check_grid(grid, tmp_path)
    for told in ("data.sizes: 5,000 records to learn", "has a vocabulary of 100", "for crystals"):
        assert told in str(error.value)
    with pytest.raises(SettingError, match="expected I/K"):
        chosen_cells(_cells(load_grid(grid_file)), "3/2")


def _cells(grid: Grid) -> list[GridCell]:
    return grid_cells(grid, n_targets(grid.objective))
