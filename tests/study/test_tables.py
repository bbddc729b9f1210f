"""Reading a study: our layout, the published one, and what is wrong with a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.errors import InputError, SettingError
from crystext.study.study_data import Study, level_value, ordered_levels
from crystext.study.tables import read_study
from tests.study.simulated_study import example_rows, write_rows


def test_the_published_tables_are_a_study_of_18_pretrainings(published: Study) -> None:
    assert (len(published.cells), published.n_rows, published.n_runs) == (18, 26_460, 540)
    assert published.factors == {
        "architecture": ("BART", "RoBERTa", "LLaMA"),
        "size": ("S", "M"),
        "data": ("10M", "20M", "30M"),
    }
    assert published.loss_CRTK.shape == (18, 5, 6, 49)
    assert np.isfinite(published.loss_CRTK).all()
    higher = [task.name for task in published.tasks if task.higher_is_better]
    assert higher == ["bace_classification", "hiv", "tox21_sr_p53"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_a_study_reads_the_same_from_every_kind_of_table(tmp_path: Path, suffix: str) -> None:
    rows = example_rows()
    expected = read_study(write_rows(tmp_path / "expected", rows))
    folder = tmp_path / "study"
    folder.mkdir()
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "runs.parquet")
    elif suffix == ".csv":
        lines = [",".join(map(str, row.values())) for row in rows]
        (folder / "runs.csv").write_text("\n".join([",".join(rows[0]), *lines]))
    else:
        write_rows(folder, rows)
    for source in (folder, folder / f"runs{suffix}"):
        study = read_study(source)
        assert (study.factors, study.tasks) == (expected.factors, expected.tasks)
        assert np.array_equal(study.metric_CRTK, expected.metric_CRTK)
    assert study.factors["size"] == ("S", "M", "L")


def test_the_checkpoint_of_least_loss_counts(tmp_path: Path) -> None:
    rows = example_rows()
    rows[1] |= {"loss": 0.001, "metric": 7.0}
    study = read_study(write_rows(tmp_path, rows))
    assert study.selected.loss_CRT[0, 0, 0] == 0.001
    assert study.selected.metric_CRT[0, 0, 0] == 7.0
    assert study.selected.best_metric_CRT[0, 0, 0] == rows[3]["metric"]


def test_a_diverged_run_is_counted_and_never_selected(tmp_path: Path) -> None:
    rows = example_rows(n_epochs=1)
    rows[0] |= {"loss": None}
    rows[1] |= {"metric": float("nan")}
    study = read_study(write_rows(tmp_path, rows))
    assert (study.n_rows, study.n_not_finite, study.n_runs) == (24, 2, 22)
    assert np.isnan(study.selected.metric_CRT).sum() == 2


def test_pretraining_losses_stand_beside_the_runs(tmp_path: Path) -> None:
    write_rows(tmp_path, example_rows())
    (tmp_path / "losses.csv").write_text(
        "cell,part,epoch,loss\nBART S,validation,2,0.5\nBART S,validation,1,0.7\n"
        "BART S,train,1,0.6\nBART S,train,2,\n"
    )
    first, second = read_study(tmp_path).pretraining_losses
    assert (first.part, first.epochs, first.losses) == ("validation", (1, 2), (0.7, 0.5))
    assert (second.part, second.losses) == ("train", (0.6,))


def test_every_fault_of_a_table_is_told_at_once(tmp_path: Path) -> None:
    rows = example_rows()
    rows[0].pop("task")
    rows[1]["epoch"] = "first"
    rows[2]["higher_is_better"] = "perhaps"
    with pytest.raises(InputError) as error:
        read_study(write_rows(tmp_path, rows))
    for expected in ("row 1: task: is missing", "row 2: epoch", "row 3: higher_is_better"):
        assert expected in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epoch": 1}, "has two rows of pretraining epoch 1 and epoch 1"),
        ({"higher_is_better": True}, "the task esol has two metrics"),
        ({"parameters": 5}, "the cell BART S 0 has two levels"),
        ({"size": None}, "has no size"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    tmp_path: Path, change: dict[str, object], told: str
) -> None:
    rows = example_rows()
    rows[0] |= change
    with pytest.raises(InputError, match=told):
        read_study(write_rows(tmp_path, rows))


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"runs\.parquet"):
        read_study(tmp_path)
    (tmp_path / "runs.csv").write_text("")
    with pytest.raises(InputError):
        read_study(tmp_path)
    (tmp_path / "runs.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"one table"):
        read_study(tmp_path)


def test_a_table_that_only_lies_where_published_ones_do_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ft_version_0"
    folder.mkdir()
    (folder / "a.csv").write_text("model_mtr_name,loss\nChemBart_Small_10m,1\n")
    with pytest.raises(InputError, match="it lacks model_mtr_ep"):
        read_study(tmp_path)


def test_an_unknown_factor_gets_a_suggestion(tmp_path: Path) -> None:
    study = read_study(write_rows(tmp_path, example_rows()))
    with pytest.raises(SettingError, match="Did you mean 'architecture'"):
        study.group(["architectur"])
    with pytest.raises(SettingError, match="each once"):
        study.group(["size", "size"])


def test_levels_are_ordered_by_what_they_state() -> None:
    assert ordered_levels(["30M", "500k", "10M", "500k"]) == ("500k", "10M", "30M")
    assert ordered_levels(["M", "S"]) == ("S", "M")
    assert ordered_levels(["plain", "cif"]) == ("plain", "cif")
    assert (level_value("1.5k"), level_value("BART")) == (1500, None)
