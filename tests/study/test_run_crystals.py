"""Run a grid of crystals: what is learned from texts, written, judged, and who may run it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from crystext.errors import RunError, SettingError
from crystext.models.load import load_model
from crystext.structures.record import Record
from crystext.study.cells import cell_name, chosen_cells, grid_cells
from crystext.study.crystal_targets import CRYSTAL_TARGETS
from crystext.study.generation import NEW, VALID, bits_per_atom, read_sample
from crystext.study.grid import load_grid
from crystext.study.grid_checks import check_grid
from crystext.study.progress import next_step, study_progress
from crystext.study.readable_targets import IN_TEXT, NOT_IN_TEXT
from crystext.study.run import CELLS, run_study
from crystext.study.tables import read_study
from crystext.tokenization.encoder_vocabulary import encoder_ids
from tests.forked import CONTEXT
from tests.study.example_crystals import salts, write_crystal_grid, write_crystals


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crystal_grid(write_crystals(tmp_path_factory.mktemp("grid")))


@pytest.fixture(scope="module")
def whole(grid_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    assert run_study(load_grid(grid_file), grid_file.parent, out) == []
    return out


def _rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_texts_alone_are_learned_and_every_network_has_its_figures(whole: Path) -> None:
    study = read_study(whole)
    assert study.factors["text"] == ("composition", "wyckoff")
    assert study.n_rows == 2 * 2 * 2 * 2  # cells, networks, repeats, epochs
    assert study.n_not_finite == 0
    for cell in sorted((whole / CELLS).iterdir()):
        assert "objective: causal" in (cell / "recipe.yaml").read_text()


def test_texts_with_a_structure_are_written_and_judged(whole: Path) -> None:
    study = read_study(whole / "generation.jsonl")
    assert study.factors["text"] == ("wyckoff",)
    assert {task.name for task in study.tasks} == {VALID, NEW}
    rows = _rows(whole / "generation.jsonl")
    by_task = {(row["task"], row["pretraining_epoch"]): float(str(row["metric"])) for row in rows}
    for epoch in (1, 2):
        assert by_task[NEW, epoch] <= by_task[VALID, epoch]
        cell = whole / CELLS / str(rows[0]["cell"])
        assert len(_rows(cell / "samples" / f"{epoch}.jsonl")) == 6
    assert float(str(rows[-1]["loss"])) < float(str(rows[0]["loss"]))


def test_the_bits_of_a_crystal_are_those_of_its_tokens(whole: Path) -> None:
    cell = next(x for x in (whole / CELLS).iterdir() if "wyckoff" in x.name)
    model = load_model(cell / "model")
    text = "221\nNa 1a\nCl 1b\n3.20"
    record = Record(next(salts()), texts={"wyckoff": text})
    found = bits_per_atom(model.network, model.tokenizer, "wyckoff", [record])
    import torch

    ids = torch.tensor(encoder_ids(model.tokenizer, [text]))
    with torch.inference_mode():
        loss = model.network(input_ids=ids, labels=ids).loss
    assert found == pytest.approx(float(loss) * (ids.shape[1] - 1) / np.log(2) / 2, rel=1e-4)


@pytest.mark.parametrize("text", ["wyckoff", "plain", "gruver2024", "cif"])
def test_a_written_text_is_read_as_its_crystal_and_a_broken_one_tells_why(text: str) -> None:
    from crystext.study.written_texts import WrittenRecords

    (written,) = WrittenRecords((Record(next(salts())),)).texts(text)
    sample = read_sample(written, text)
    assert sample.crystal is not None
    assert sorted(sample.crystal.numbers.tolist()) == [9, 11]
    broken = read_sample(written[: len(written) // 2], text)
    assert broken.crystal is None
    assert broken.failure


def test_two_processes_share_a_study_and_one_that_is_killed_changes_nothing(
    grid_file: Path, whole: Path, tmp_path: Path
) -> None:
    grid, out = load_grid(grid_file), tmp_path / "out"
    other = CONTEXT.Process(target=run_study, args=(grid, grid_file.parent, out))
    other.start()
    assert other.pid is not None
    deadline = time.monotonic() + 120
    while not list(out.glob("cells/*/checkpoint")) and time.monotonic() < deadline:
        assert other.is_alive()
        time.sleep(0.01)
    # It holds its cell, but does nothing, until it is killed.
    os.kill(other.pid, signal.SIGSTOP)
    (first, _) = [cell.name for cell in study_progress(out)]
    assert run_study(grid, grid_file.parent, out) == [first]
    assert [cell.state for cell in study_progress(out)] == ["running", "complete"]
    assert "1 cell left; the processes that run" in next_step(out, study_progress(out))
    other.kill()
    other.join()
    (stopped, _) = study_progress(out)
    assert stopped.state == "stopped"
    assert 0 < stopped.step < (stopped.steps or 0)
    assert "crystext study run" in next_step(out, study_progress(out))
    assert run_study(grid, grid_file.parent, out) == []
    assert "crystext study report" in next_step(out, study_progress(out))
    for name in ("runs.jsonl", "losses.jsonl", "generation.jsonl"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_other_data_are_refused(grid_file: Path, whole: Path, tmp_path: Path) -> None:
    write_crystals(tmp_path)
    with (tmp_path / "crystals.csv").open("a") as table:
        table.write("\n")
    with pytest.raises(RunError, match=r"tables\.crystals\.csv"):
        run_study(load_grid(grid_file), tmp_path, whole)


def test_targets_of_crystals_are_learned_without_those_that_are_constant(tmp_path: Path) -> None:
    changes = {
        "architectures": ["roberta"], "texts": ["plain"], "generation": None,
        "tokenizers": {"crystal": {"kind": "crystal"}}, "objective": {"targets": "crystal"},
        "pretraining": {"epochs": 1, "batch_sequences": 6, "max_tokens": 64},
        "fine_tuning": {"reads": "targets", "epochs": 1, "repeats": 1},
    }  # fmt: skip
    grid = load_grid(write_crystal_grid(write_crystals(tmp_path), **changes))
    assert run_study(grid, tmp_path, tmp_path / "out") == []
    (cell,) = (tmp_path / "out" / CELLS).iterdir()
    names = set(json.loads((cell / "model" / "properties.json").read_text())["properties"])
    # Each has two atoms of two elements.
    assert {"density", "packing_fraction", "space_group_221"} <= names
    assert not names & {"n_atoms", "n_elements", "space_group_1"}
    study = read_study(tmp_path / "out")
    last = {curve.part: curve.losses[-1] for curve in study.pretraining_losses}
    assert {IN_TEXT, NOT_IN_TEXT} <= last.keys()
    log = [json.loads(line) for line in (cell / "log.jsonl").read_text().splitlines()]
    scores = next(line for line in reversed(log) if "mae_density" in line)
    with np.load(tmp_path / "out" / "targets.npz") as table:
        values = dict(zip(table["names"].tolist(), table["values"].T, strict=True))
    in_text = [
        scores[f"mae_{name}"] / np.abs(x[12:] - x[:12].mean()).mean()
        for name, x in values.items()
        if name in ("a", "b", "c", "alpha", "beta", "gamma")
    ]
    assert last[IN_TEXT] == pytest.approx(np.mean(in_text))
    (row,) = _rows(tmp_path / "out" / "runs.jsonl")
    saved = sum(
        int(np.prod(shape))
        for file in ("model", "head")
        for shape in _shapes(cell / "model" / f"{file}.safetensors")
    )
    assert row["parameters"] == saved
    plan = check_grid(grid, tmp_path).cells[0].parameters
    n_outputs = sum(target.n_outputs for target in CRYSTAL_TARGETS)
    assert plan - saved == (n_outputs - len(names)) * 17


def _shapes(path: Path) -> list[list[int]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118


def test_whole_networks_are_fine_tuned_in_ordinary_runs(whole: Path, tmp_path: Path) -> None:
    changes = {
        "texts": ["wyckoff"], "generation": None,
        "fine_tuning": {"frozen": False, "epochs": 2, "repeats": 2, "learning_rate": 1e-3},
    }  # fmt: skip
    grid = load_grid(write_crystal_grid(write_crystals(tmp_path), **changes))
    assert run_study(grid, tmp_path, tmp_path / "out") == []
    rows = _rows(tmp_path / "out" / "runs.jsonl")
    assert [(row["repeat"], row["epoch"]) for row in rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {row["pretraining_epoch"] for row in rows} == {2}
    assert len({row["metric"] for row in rows}) == 4
    (cell,) = (tmp_path / "out" / CELLS).iterdir()
    recipe = (cell / "finetuned" / "gap-0" / "recipe.yaml").read_text()
    assert "objective: regression_head" in recipe
    assert str(cell / "models") in recipe


def test_the_vocabulary_of_a_tokenizer_is_that_of_its_texts(grid_file: Path) -> None:
    words = {
        "crystal": {"kind": "crystal"}, "bpe": {"kind": "byte_bpe", "vocabulary": 5000},
        "characters": {"kind": "characters", "vocabulary": 40},
    }  # fmt: skip
    grid = load_grid(grid_file)
    grid = type(grid).model_validate({**grid.model_dump(), "tokenizers": words, "seeds": [0]})
    stated = {x.parameters for x in grid_cells(grid, 0)}
    plan = check_grid(grid, grid_file.parent)
    counted = {(x.tokenizer, x.text): x.parameters for x in plan.cells}
    assert len(stated) == 3
    assert len(set(counted.values())) > 3
    assert counted["crystal", "wyckoff"] == counted["crystal", "composition"]
    assert counted["bpe", "wyckoff"] < max(stated)
    assert chosen_cells(plan.cells, None).keys() == {
        cell_name(i, x) for i, x in enumerate(plan.cells)
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fine_tuning": {"reads": "targets"}}, "give fine_tuning.reads state"),
        ({"objective": {"targets": "crystal"}}, "generation needs objective.targets texts"),
        ({"architectures": ["roberta"]}, "roberta does not write texts"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(SettingError, match=told):
        load_grid(write_crystal_grid(tmp_path, **changes))
