"""`crystext train` as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from crystext.generation.run import read_attempts
from tests.conftest import Run
from tests.tiny_model import write_tiny_store
from tests.training.test_trainer import recipe_values

STEPS = 30


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    values = recipe_values(write_tiny_store(folder / "store"), steps=STEPS)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | {"checkpoint_every": 3, "evaluate_every": 10}))
    return path


@pytest.fixture(scope="module")
def trained(cli: Run, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was never interrupted."""
    out = tmp_path_factory.mktemp("trained") / "run"
    ended = cli("train", recipe, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert f"crystext sample --model {out / 'model'}" in ended.stdout
    last = next(
        line for line in ended.stderr.splitlines() if line.startswith(f"step {STEPS} of {STEPS}: v")
    )
    assert "unconditional" in last
    assert (out / "loss.png").is_file()
    return out


def test_the_one_core_trial_needs_nothing_and_lowers_the_loss(cli: Run, tmp_path: Path) -> None:
    # A third of its steps; the schedule's end is what the others are for.
    ended = cli("train", "smoke", "optim.steps=10", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(
        r"^step 1 of 10: training loss \d\.\d{4}, .* left$", ended.stderr, re.MULTILINE
    )
    told = re.search(r"validation loss (\S+) before training, (\S+) after 10 steps", ended.stdout)
    assert told is not None, ended.stdout
    before, after = map(float, told.groups())
    assert after < 0.95 * before
    model = tmp_path / "training" / "model"
    drawn = cli("sample", "--model", model, "--n", 8, "--out", tmp_path / "draws")
    assert drawn.returncode == 0, drawn.stderr
    assert [attempt["failure"] for attempt in read_attempts(tmp_path / "draws")] == [None] * 8


def test_how_to_draw_is_told_and_works(cli: Run, trained: Path, tmp_path: Path) -> None:
    """The last line of a training is a command; see `trained`."""
    options = "--n", 5, "--max-atoms", 2, "--batch-size", 5
    ended = cli("sample", "--model", trained / "model", "--out", tmp_path / "run", *options)
    assert ended.returncode == 0, ended.stderr
    assert [attempt["failure"] for attempt in read_attempts(tmp_path / "run")] == [None] * 5


def test_a_training_that_is_killed_ends_with_the_same_weights_to_the_bit(
    cli: Run, recipe: Path, trained: Path, tmp_path: Path
) -> None:
    out, moments = tmp_path / "run", np.random.default_rng(1)
    command = [sys.executable, "-m", "crystext", "train", str(recipe), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(moments.uniform(0, 0.2))
    process.kill()
    process.wait()
    ended = cli("train", recipe, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "resuming" in ended.stderr
    for name in ("weights", "ema", "muon", "adamw"):
        expected = load_file(trained / "checkpoint" / f"{name}.safetensors")
        found = load_file(out / "checkpoint" / f"{name}.safetensors")
        assert [key for key in expected if not torch.equal(found[key], expected[key])] == []
    assert (out / "model" / "model.safetensors").read_bytes() == (
        trained / "model" / "model.safetensors"
    ).read_bytes()


def test_the_log_holds_losses_and_rates(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "loss_unconditional" in x] == [0, 10, 20, 30]
    assert [x["step"] for x in lines if "tokens_per_second" in x] == [1, 20, 30]


def test_all_faults_of_a_recipe_are_told_at_once(
    cli_refuses: Callable[..., str], recipe: Path, tmp_path: Path
) -> None:
    values = yaml.safe_load(recipe.read_text())
    values["optim"]["stepps"] = values["optim"].pop("steps")
    values["format"] = "plane"
    values["tasks"] = {"unconditonal": 1.0}
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(values))
    out = tmp_path / "run"
    message = cli_refuses("train", tmp_path / "bad.yaml", "optim.ema=2", "nonsense", "--out", out)
    assert "Did you mean 'steps'" in message
    assert "Did you mean 'plain'" in message
    assert "Did you mean 'unconditional'" in message
    assert "optim.ema" in message
    assert "'nonsense' is not an override" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data=nowhere", "no store at nowhere"),
        ("model.new.heads=3", "heads"),
        ("model={base: nowhere/at-all}", "nowhere/at-all"),
    ],
)
def test_what_a_recipe_asks_for_in_vain_is_told(
    cli_refuses: Callable[..., str], recipe: Path, tmp_path: Path, override: str, expected: str
) -> None:
    message = cli_refuses("train", recipe, override, "--out", tmp_path / "run")
    assert expected in message
    assert not (tmp_path / "run").exists()


def test_a_missing_store_is_answered_with_how_to_make_it(
    cli_refuses: Callable[..., str], tmp_path: Path
) -> None:
    message = cli_refuses("train", "finetune-your-own", cwd=tmp_path)
    assert "no store at mine" in message
    assert "crystext data prepare SOURCE --out mine" in message
    assert "data=textbook" in message
    assert list(tmp_path.iterdir()) == []


def test_a_missing_recipe_names_those_there_are(cli_refuses: Callable[..., str]) -> None:
    assert "shipped" in cli_refuses("train", "nowhere.yaml")


def test_a_run_of_another_recipe_is_refused(
    cli_refuses: Callable[..., str], recipe: Path, trained: Path
) -> None:
    message = cli_refuses("train", recipe, "optim.learning_rate=0.5", "--out", trained)
    assert "holds a training run with other settings" in message
