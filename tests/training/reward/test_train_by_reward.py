"""`crystext train` with rewards: what scored well is drawn more, and mistakes are told."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from crystext.generation.run import read_attempts
from tests.conftest import Run

SMALL = (
    "rewards.held_out=60",
    "rewards.fraction=0.9",
    "optim.batch_sequences=140",
    "optim.steps=6",
    "optim.warmup_steps=1",
    "optim.learning_rate=2e-4",
    "optim.ema=0",
    "data.validation_crystals=4",
    "data.store=textbook",
    "evaluate_every=3",
    "checkpoint_every=3",
)


def has_oxygen(text: str) -> bool:
    return any(line.split()[0] == "O" for line in text.split("\n")[1:-1])


def oxides(run: Path) -> float:
    found = [has_oxygen(attempt["text"]) for attempt in read_attempts(run)]
    return sum(found) / len(found)


def write_table(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="module")
def samples(cli: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "run"
    assert cli("sample", "--n", 400, "--seed", 3, "--out", out).returncode == 0
    return out


@pytest.fixture
def scores(samples: Path, tmp_path: Path) -> Path:
    rows = [[x["index"], float(has_oxygen(x["text"]))] for x in read_attempts(samples)]
    return write_table(tmp_path / "scores.csv", [["index", "reward"], *rows])


def test_what_is_rewarded_is_drawn_more(
    cli: Run, samples: Path, scores: Path, tmp_path: Path
) -> None:
    given = [f"rewards.samples={samples}", f"rewards.tables={scores}", "rewards.unchanged=[]"]
    ended = cli("train", "reward-shipped", *given, *SMALL, "--out", tmp_path / "run")
    assert ended.returncode == 0, ended.stderr
    log = [json.loads(x) for x in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    gains = [line["reward_gain"] for line in log if "reward_gain" in line]
    assert len(gains) == 2
    assert gains[-1] > 0
    again = cli("sample", "--model", tmp_path / "run/model", "--n", 300, "--out", tmp_path / "new")
    assert again.returncode == 0, again.stderr
    assert oxides(tmp_path / "new") > oxides(samples) + 0.07


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rewards.column=rewrad", ["no column rewrad", "its columns are index, reward"]),
        ("rewards.held_out=5000", ["rewards.held_out is 5,000 of 400", "smaller"]),
        ("model.lora={rank: 4}", ["rewards do not go with model.lora"]),
        ("rewards.samples=nowhere", ["no samples in nowhere", "rewards.samples=FOLDER"]),
        ("rewards.tables=nowhere.csv", ["no file nowhere.csv", "rewards.tables=FILE"]),
        ("rewards.goal=lowest", ["rewards.goal", "'high' or 'low'"]),
    ],
)
def test_a_mistake_is_told_in_one_message(
    cli: Run, samples: Path, scores: Path, tmp_path: Path, change: str, expected: list[str]
) -> None:
    given = [f"rewards.samples={samples}", f"rewards.tables={scores}", *SMALL, change]
    ended = cli("train", "reward-shipped", *given, "--out", tmp_path / "run")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert all(part in ended.stderr for part in expected), ended.stderr
    assert not (tmp_path / "run").exists()


def test_samples_in_another_text_or_at_other_temperatures_are_refused(
    cli: Run, samples: Path, scores: Path, tmp_path: Path
) -> None:
    plain, cool = tmp_path / "plain", tmp_path / "cool"
    assert cli("sample", "--n", 2, "--text-format", "plain", "--out", plain).returncode == 0
    assert cli("sample", "--n", 2, "--temperature", 0.5, "--out", cool).returncode == 0
    for other, message in ((plain, "expected wyckoff"), (cool, "different temperatures")):
        given = f"rewards.samples=[{samples}, {other}]", f"rewards.tables=[{scores}, {scores}]"
        ended = cli("train", "reward-shipped", *given, *SMALL, "--out", tmp_path / "run")
        assert ended.returncode == 2
        assert message in ended.stderr
    given = f"rewards.samples=[{samples}, {samples}]", f"rewards.tables={scores}"
    ended = cli("train", "reward-shipped", *given, *SMALL, "--out", tmp_path / "run")
    assert ended.returncode == 2
    assert "2 folders of samples and 1 tables" in ended.stderr


def test_samples_without_a_number_are_left_out(cli: Run, samples: Path, tmp_path: Path) -> None:
    table = write_table(
        tmp_path / "few.csv", [["name", "reward"], *([i, i / 10] for i in range(50)), [50, ""]]
    )
    given = f"rewards.samples={samples}", f"rewards.tables={table}"
    ended = cli("train", "reward-shipped", *given, *SMALL, "--out", tmp_path / "run")
    assert ended.returncode == 2
    assert "50 samples have a reward; expected 100" in ended.stderr
