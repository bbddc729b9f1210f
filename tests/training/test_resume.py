"""Runs that are killed and go on, to the same weights bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from crystext.training.recipe import load_recipe
from crystext.training.trainer import Trainer
from tests.tiny_model import write_tiny_store

QUIET = Console(quiet=True)
STEPS = 60
STARTS = {
    "from scratch": ["optim.optimizer=muon"],
    # Dropout, so that the random numbers count.
    "adapter on four bits": [
        "model.quantize=nf4",
        "model.lora={rank: 4, dropout: 0.3}",
        "optim.optimizer=adamw",
    ],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    values: dict[str, Any] = {
        "data": {"store": str(write_tiny_store(folder / "store")), "validation_crystals": 6},
        "tasks": {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2},
        "translate_probability": 0.5,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}},
        "optim": {
            "learning_rate": 0.01,
            "steps": STEPS,
            "warmup_steps": 3,
            "batch_sequences": 8,
            "micro_tokens": 300,
            "ema": 0.8,
        },
        "evaluate_every": 15,
        "checkpoint_every": 3,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def state(out: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of the last checkpoint and of the model."""
    files = [*(out / "checkpoint").glob("*.safetensors"), *(out / "model").glob("*.safetensors")]
    return {f"{path.stem}.{n}": x for path in files for n, x in load_file(path).items()}


def assert_same(first: Path, second: Path) -> None:
    a, b = state(first), state(second)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def evaluations(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss_mean" in line]


def test_an_adapter_on_four_bits_goes_on_to_the_same_weights(recipe: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    class Stopping(Trainer):
        def _train_step(self, rows: Any) -> Any:
            if self.step == 5:
                raise Stopped
            return super()._train_step(rows)

    settings = load_recipe(recipe, [*STARTS["adapter on four bits"], "optim.steps=8"])
    with pytest.raises(Stopped):
        Stopping(settings, tmp_path / "stopped").run(QUIET)
    Trainer(settings, tmp_path / "stopped").run(QUIET)
    Trainer(settings, tmp_path / "whole").run(QUIET)
    assert_same(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_ten_kills_at_random_moments_change_no_bit(
    recipe: Path, tmp_path: Path, start: str
) -> None:
    command = [sys.executable, "-m", "crystext", "train", str(recipe), *STARTS[start], "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, out = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], env=environment, check=True, capture_output=True)
    moments = np.random.default_rng()
    kills = sorted(moments.choice(np.arange(1, STEPS), size=10, replace=False).tolist())
    for kill in kills:
        process = subprocess.Popen(
            [*command, str(out)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline and last_step(out) < kill:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.wait()
    ended = subprocess.run(
        [*command, str(out)], env=environment, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert_same(out, whole)
    assert evaluations(out) == evaluations(whole)


def last_step(out: Path) -> int:
    """Return the step of the last checkpoint, or 0 while there is none, or one is replaced."""
    try:
        return int(json.loads((out / "checkpoint" / "state.json").read_text())["step"])
    except (OSError, ValueError):
        return 0
