"""Training by several processes, as torchrun starts them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from crystext.training.checkpoint import load_checkpoint
from crystext.training.recipe import load_recipe
from crystext.training.trainer import Trainer
from tests.tiny_model import write_tiny_store

QUIET = Console(quiet=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def launch(recipe: Path, out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-port", str(free_port())),
        *("-m", "crystext", "train", str(recipe), *overrides, "--out", str(out)),
    ]
    return subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def losses(out: Path) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for line in (out / "log.jsonl").read_text().splitlines():
        values = json.loads(line)
        step = found.setdefault(values["step"], {})
        step |= {name: x for name, x in values.items() if "loss" in name}
    return found


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    values: dict[str, Any] = {
        "data": {"store": str(write_tiny_store(folder / "store")), "validation_crystals": 9},
        "tasks": {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2},
        "translate_probability": 0.5,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}},
        "optim": {
            "optimizer": "muon",
            "learning_rate": 0.01,
            "schedule": "constant",
            "steps": 20,
            "warmup_steps": 3,
            # An odd number, so that the shares are unequal.
            "batch_sequences": 9,
            "micro_tokens": 300,
            "ema": 0.8,
        },
        "precision": "fp32",
        "evaluate_every": 10,
        "checkpoint_every": 10,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_two_processes_give_the_losses_of_one_and_go_on_as_one(
    recipe: Path, tmp_path: Path
) -> None:
    ended = launch(recipe, tmp_path / "two")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("the model is in") == 1
    Trainer(load_recipe(recipe), tmp_path / "one").run(QUIET)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    # Each process knows its part of a loss; the line shows about the whole.
    shown = re.search(r"step 1 of 20: training loss ([\d.]+)", ended.stdout + ended.stderr)
    assert shown is not None
    assert float(shown[1]) == pytest.approx(one[1]["train_loss"], rel=0.4)
    assert one.keys() == two.keys() == {0, 1, 10, 20}
    for step, values in one.items():
        assert two[step] == pytest.approx(values, rel=1e-3)
    # One process takes over what two have begun.
    longer = load_recipe(recipe, ["optim.steps=30"])
    for name in ("one", "two"):
        Trainer(longer, tmp_path / name).run(QUIET)
    assert losses(tmp_path / "two")[30] == pytest.approx(losses(tmp_path / "one")[30], rel=1e-3)


def test_two_processes_train_an_adapter_on_four_bits_as_one_does(
    recipe: Path, tmp_path: Path
) -> None:
    changes = [
        "model.quantize=nf4",
        "model.lora={rank: 4, dropout: 0}",
        "model.gradient_checkpointing=true",
        "optim.optimizer=adamw",
        "optim.steps=4",
        "evaluate_every=4",
    ]
    ended = launch(recipe, tmp_path / "two", *changes)
    assert ended.returncode == 0, ended.stderr
    Trainer(load_recipe(recipe, changes), tmp_path / "one").run(QUIET)
    assert losses(tmp_path / "two")[4] == pytest.approx(losses(tmp_path / "one")[4], rel=1e-3)
    found = [load_checkpoint(tmp_path / name / "checkpoint") for name in ("one", "two")]
    assert found[0] is not None
    assert found[1] is not None
    for name, tensor in found[0][0]["weights"].items():
        assert "lora" in name
        torch.testing.assert_close(found[1][0]["weights"][name], tensor, rtol=1e-2, atol=1e-4)
