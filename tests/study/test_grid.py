"""Grids: the published one, and what is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import SettingError
from crystext.study.cells import cell_name, grid_cells
from crystext.study.grid import grid_names, load_grid
from crystext.study.grid_checks import check_grid
from crystext.study.networks import TITLES
from crystext.study.results import REPORT_FILE, StudyReport
from crystext.study.study_data import Study
from crystext.study.targets import n_targets
from tests.study.example_grid import write_grid, write_table


def test_the_published_networks_have_the_published_numbers_of_parameters() -> None:
    grid = load_grid("arch-scale-paper")
    cells = grid_cells(grid, 105)
    assert len(cells) == 18
    counts = {(cell.architecture, cell.size): cell.parameters for cell in cells}
    for size, low, high in (("S", 12.9e6, 13.6e6), ("M", 29.3e6, 29.7e6)):
        found = [counts[architecture, size] for architecture in grid.architectures]
        assert min(found) == pytest.approx(low, rel=0.01)
        assert max(found) == pytest.approx(high, rel=0.01)


def test_the_published_grid_has_the_cells_of_the_published_tables(published: Study) -> None:
    grid = load_grid("arch-scale-paper")
    factors = {
        "architecture": {TITLES[x] for x in grid.architectures},
        "size": set(grid.sizes),
        "data": set(grid.data.sizes),
    }
    assert {name: set(levels) for name, levels in published.factors.items()} == factors


def test_a_shipped_grid_was_run_and_has_a_report_of_it_or_says_that_it_was_not(root: Path) -> None:
    for name in grid_names():
        head = (root / "recipes" / "study" / f"{name}.yaml").read_text(encoding="utf-8")
        assert f"crystext study check {name}" in head
        if head.startswith("# NOT RUN."):
            continue
        path = f"evaluation/studies/{name}"
        assert path in head
        report = StudyReport.model_validate_json((root / path / REPORT_FILE).read_text())
        grid = load_grid(name)
        cells = grid_cells(grid, n_targets(grid.objective))
        assert report.n_cells == len(cells)
        assert report.n_runs == report.n_runs_of_design
        assert {x.cell for x in report.checkpoint_curves} == {
            cell_name(i, cell) for i, cell in enumerate(cells)
        }
        assert {task.task for task in report.tasks} == set(grid.tasks)


def test_a_grid_is_checked_beside_its_data(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    plan = check_grid(load_grid(write_grid(tmp_path)), write_table(tmp_path))
    assert len(plan.cells) == 3 * 2 * 2
    assert {cell.labels["architecture"] for cell in plan.cells} == {"RoBERTa", "BART", "LLaMA"}
    assert all(cell.parameters == pytest.approx(60_000, rel=0.05) for cell in plan.cells)
    assert sum(plan.tasks[0][1:]) == 40


def test_every_fault_of_a_grid_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    scaffold, random = {"kind": "scaffold"}, {"kind": "random"}
    grid = write_grid(
        tmp_path,
        sizes={"XS": {"parameters": 500}},
        data={"tables": ["absent.csv"], "sizes": ["10"]},
        tasks={
            "one_class": {"table": "table.csv", "target": "yes", "kind": "boolean",
                          "split": scaffold},
            "no_label": {"table": "table.csv", "target": "empty", "split": random},
            "no_column": {"table": "table.csv", "target": "z", "split": random},
            "no_table": {"table": "none.csv", "target": "y", "split": random},
        },
    )  # fmt: skip
    with pytest.raises(SettingError) as error:
        check_grid(load_grid(grid), write_table(tmp_path))
    for told in (
        "no roberta", "no bart", "no llama", "absent.csv is missing", "the task no_label",
        "the task one_class has one class in its test part: all", "has no column 'z'",
        "none.csv is missing",
    ):  # fmt: skip
        assert told in str(error.value)


def test_a_table_without_what_the_targets_need_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    write_table(tmp_path)
    grid = load_grid(write_grid(tmp_path, objective={"targets": "crystal"}))
    with pytest.raises(SettingError, match=r"table\.csv has no structures"):
        check_grid(grid, tmp_path)
    (tmp_path / "formulas.csv").write_text("formula\nNaCl\n")
    data = {"tables": ["formulas.csv"], "sizes": ["10"]}
    with pytest.raises(SettingError, match=r"formulas\.csv has no column of SMILES"):
        check_grid(load_grid(write_grid(tmp_path, data=data)), tmp_path)


def test_sizes_that_differ_between_architectures_are_refused(tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 32, "heads": 2, "layers": 2}
    networks = {"roberta": sizes, "bart": sizes, "llama": {**sizes, "hidden_size": 48}}
    grid = load_grid(write_grid(tmp_path, sizes={"S": {"networks": networks}}))
    with pytest.raises(SettingError, match=r"the size S has roberta .* expected at most 5%"):
        grid_cells(grid, 105)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"architectures": ["roberta", "lama"]}, "Did you mean 'llama'"),
        ({"sizes": {"S": {}}}, "give either parameters or networks"),
        ({"sizes": {"S": {"networks": {}}}}, "the size S has no network of bart"),
        ({"data": {"tables": ["a.csv"], "sizes": ["many"]}}, "expected amounts"),
        ({"data": {"tables": ["a.csv"], "sizes": ["5k", "5k"]}}, "a value comes twice"),
        ({"texts": ["smilse"]}, "Did you mean 'smiles'"),
        ({"pretraining": {"dropout": {"bart": 0.1}}}, "llama has no dropout"),
        ({"task": {}}, "Did you mean 'tasks'"),
        ({"pretraining": {"dropout": 1.5}}, "expected a number below 1"),
    ],
)
def test_a_fault_of_the_file_is_told_in_words(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(SettingError, match=told):
        load_grid(write_grid(tmp_path, **changes))


def test_a_grid_that_does_not_exist_gets_a_suggestion() -> None:
    with pytest.raises(SettingError, match="Did you mean 'arch-scale-paper'"):
        load_grid("arch-scale-papre")
