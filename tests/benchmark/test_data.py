"""The data of a suite are read whole, divided as it says, and missing parts are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.benchmark.data import SuiteData, split_records
from crystext.benchmark.run import without_cif_tags
from crystext.benchmark.suite import SplitSpec, load_suite, select_tasks
from crystext.errors import InputError
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from tests.benchmark.example_suite import rows, write_example, write_table


def suite_data(suite: Path, input_name: str = "formula", *tasks: str) -> SuiteData:
    loaded = load_suite(suite)
    return SuiteData(loaded, suite.parent, input_name, select_tasks(loaded, tasks))


def test_a_task_has_the_records_with_its_label(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    table = rows(10)
    for i, cell in ((0, ""), (1, "Null"), (2, "inf"), (3, "nan")):
        table[i]["gap"] = cell
    write_table(tmp_path / "salts" / "test.csv", table)
    data = suite_data(suite)
    task = data.load(data._tasks[0])
    assert [record.id for record in task.folds[0].test] == [f"row-{i}" for i in range(4, 10)]
    assert sum(task.skipped.values()) == 4
    # The other labels of these rows are there.
    assert len(data.load(data._tasks[1]).folds[0].test) == 10


def test_a_repeated_id_is_numbered(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    write_table(tmp_path / "salts" / "test.csv", [*rows(2), *rows(2)])
    data = suite_data(suite)
    test = data.load(data._tasks[0]).folds[0].test
    assert [record.id for record in test] == ["row-0", "row-1", "row-0#2", "row-1#2"]


def test_the_files_of_the_only_data_set_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    loaded = load_suite(suite)
    data = SuiteData(loaded, tmp_path / "salts", "formula", select_tasks(loaded))
    assert len(data.load(select_tasks(loaded)[0]).folds[0].test) == 24


def test_all_missing_files_are_told(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    (tmp_path / "salts" / "test.csv").unlink()
    (tmp_path / "salts" / "train.csv").unlink()
    with pytest.raises(InputError, match=r"lacks 2 of the suite's files(?s:.*)train\.csv"):
        suite_data(suite)


def test_missing_columns_are_told_with_the_nearest(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    table = [{("gapp" if k == "gap" else k): v for k, v in row.items()} for row in rows(9)]
    write_table(tmp_path / "salts" / "train.csv", table)
    data = suite_data(suite)
    with pytest.raises(InputError, match=r"lacks gap Did you mean 'gapp'\?"):
        data.load(data._tasks[0])
    # Tasks that need only other columns work.
    other = suite_data(suite, "formula", "salts/volume")
    assert other.load(other._tasks[0]).folds[0].train


def test_a_missing_input_column_is_told(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    table = [{k: v for k, v in row.items() if k != "cif"} for row in rows(9)]
    write_table(tmp_path / "salts" / "test.csv", table)
    data = suite_data(suite, "cif")
    with pytest.raises(InputError, match="no column 'cif' for the input cif"):
        data.load(data._tasks[0])


def test_the_line_of_the_cell_volume_is_removed_and_nothing_else() -> None:
    text = "data_x\n_cell_volume   128.6\n_cell_volume_su 1\n _cell_volume 2\n_cell_length_a 3\n"
    record = without_cif_tags(Record(texts={"cif": text, "formula": "X"}), ["_cell_volume"])
    assert record.texts["cif"] == "data_x\n_cell_volume_su 1\n_cell_length_a 3\n"
    assert record.texts["formula"] == "X"


@pytest.mark.parametrize("kind", ["random_folds", "formula_folds", "matbench"])
def test_folds_test_every_record_once(kind: str) -> None:
    records = [
        Record(texts={"formula": row["formula"]}, labels={"gap": float(row["gap"])}, id=row["name"])
        for row in rows(60)
    ]
    target = Property("gap", "gap")
    folds = split_records(records, "gap", target, SplitSpec.model_validate({"kind": kind}))
    tested = sorted(record.id for fold in folds for record in fold.test)
    assert tested == sorted(record.id for record in records)
    for fold in folds:
        assert not {x.id for x in fold.train} & {x.id for x in fold.test}
        if kind == "formula_folds":
            assert fold.leak.count == 0


@pytest.mark.parametrize(
    ("table", "proportion"),
    [
        ("castelli", 0.795),
        ("dielectric", 0.127),
        ("jdft2d", 0.109),
        ("elasticity_log10_k_vrh", 0.071),
        ("phonons", 0.043),
    ],
)
def test_leaks_of_matbenchs_first_fold_are_those_that_were_measured(
    shared_data: Path, table: str, proportion: float
) -> None:
    """Measured by formulas as they are written; compositions, which the page counts, leak more."""
    suite = load_suite("matbench")
    (task,) = select_tasks(suite, [table])
    data = SuiteData(suite, shared_data / "compositions", "formula", [task])
    fold = data.load(task).folds[0]
    trained = {record.texts["formula"] for record in fold.train}
    by_formula = sum(record.texts["formula"] in trained for record in fold.test) / len(fold.test)
    assert by_formula == pytest.approx(proportion, abs=0.0006)
    assert fold.leak.proportion >= by_formula
    assert fold.leak.total == len(fold.test)
    by_composition = data.load(
        task._replace(split=SplitSpec(kind="formula_folds"))
    ).folds[0]  # fmt: skip
    assert by_composition.leak.count == 0
