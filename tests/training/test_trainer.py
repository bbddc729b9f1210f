from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from filelock import FileLock
from rich.console import Console
from safetensors.torch import load_file

from crystext.config import OptimSettings, Recipe, parse_recipe
from crystext.data.store import write_dataset
from crystext.errors import InputError, RunError, SettingError
from crystext.models.load import load_model
from crystext.sampling.attempt import DrawSettings
from crystext.sampling.run import unconditional_prompt
from crystext.sampling.samplers import make_sampler
from crystext.training.checkpoint import load_checkpoint
from crystext.training.trainer import Trainer, learning_rate
from tests.tiny import write_tiny_data

QUIET = Console(quiet=True)
STEPS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_data(tmp_path_factory.mktemp("data") / "data.parquet")


def recipe_values(data: Path, **optim: Any) -> dict[str, Any]:
    return {
        "seed": 1,
        "data": {"train": str(data), "validation": str(data), "validation_crystals": 10},
        "tasks": {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2},
        "translate_share": 0.5,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}},
        "optim": {
            "learning_rate": 0.01,
            "steps": STEPS,
            "warmup_steps": 3,
            "batch_tokens": 600,
            "ema": 0.8,
            **optim,
        },
        "precision": "fp32",
        "evaluate_every": 6,
        "checkpoint_every": 5,
    }


def recipe(data: Path, **optim: Any) -> Recipe:
    return parse_recipe(recipe_values(data, **optim), "test")


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    Trainer(recipe(data), out).run(QUIET)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    found = load_checkpoint(out / "checkpoint")
    assert found is not None
    return found[0]["weights"] | {f"average.{k}": v for k, v in found[0]["average"].items()}


def assert_same_weights(first: Path, second: Path) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    optim = OptimSettings(
        learning_rate=2.0, steps=100, warmup_steps=10, decay_share=0.25, batch_tokens=1
    )
    rates = [learning_rate(step, optim) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9:75] == [2.0] * 66
    assert rates[100] == 0.0
    falls = [a - b for a, b in pairwise(rates[75:])]
    assert falls == pytest.approx([2.0 / 25] * 25)


def test_without_warm_up_and_decay_the_rate_is_constant() -> None:
    optim = OptimSettings(
        learning_rate=1.0, steps=10, warmup_steps=0, decay_share=0.0, batch_tokens=1
    )
    assert [learning_rate(step, optim) for step in range(9)] == [1.0] * 9


def test_training_lowers_the_loss_on_crystals_it_does_not_repeat(
    data: Path, tmp_path: Path
) -> None:
    values = recipe_values(data, steps=40, ema=0.5) | {"evaluate_every": 10}
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    scored = [line for line in log_of(tmp_path / "run") if "loss_unconditional" in line]
    assert [line["step"] for line in scored] == [10, 20, 30, 40]
    for task in ("unconditional", "conditional", "infill_element", "translated"):
        losses = [line[f"loss_{task}"] for line in scored]
        assert losses[-1] < 0.9 * losses[0], task


def test_what_was_trained_is_a_model_to_draw_from(whole: Path) -> None:
    model = load_model(whole / "model")
    assert model.network.dtype == torch.bfloat16
    sampler = make_sampler(model, DrawSettings(max_atoms=2))
    attempts = sampler.draw(unconditional_prompt(whole / "model"), range(3))
    assert [attempt.fault for attempt in attempts] == [None] * 3


def test_the_saved_model_is_the_average_of_the_weights(whole: Path) -> None:
    saved = load_file(whole / "model" / "model.safetensors")
    found = load_checkpoint(whole / "checkpoint")
    assert found is not None
    average = found[0]["average"]
    assert set(saved) == set(average)
    for name, tensor in saved.items():
        assert torch.equal(tensor, average[name].bfloat16()), name
    assert any(not torch.equal(average[name], found[0]["weights"][name]) for name in average)


@pytest.mark.parametrize("stop", [5, 7, 10])
def test_a_run_that_goes_on_ends_with_the_same_weights_to_the_bit(
    data: Path, whole: Path, tmp_path: Path, stop: int
) -> None:
    out = tmp_path / "run"

    class Stopped(Exception):
        pass

    class Stopping(Trainer):
        """Stops as if killed, before the step is counted."""

        def _update(self, batch: Any) -> float:
            if self.step == stop:
                raise Stopped
            return super()._update(batch)

    with pytest.raises(Stopped):
        Stopping(recipe(data), out).run(QUIET)
    Trainer(recipe(data), out).run(QUIET)
    assert_same_weights(out, whole)
    steps = [line["step"] for line in log_of(out) if "loss_unconditional" in line]
    assert steps == [6, 12]


def test_a_longer_run_goes_on_from_a_finished_one(data: Path, tmp_path: Path) -> None:
    optim = {"decay_share": 0.0}
    Trainer(recipe(data, steps=6, **optim), tmp_path / "run").run(QUIET)
    Trainer(recipe(data, steps=11, **optim), tmp_path / "run").run(QUIET)
    Trainer(recipe(data, steps=11, **optim), tmp_path / "once").run(QUIET)
    assert_same_weights(tmp_path / "run", tmp_path / "once")


def test_a_finished_run_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    before = weights(tmp_path / "run")
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    after = weights(tmp_path / "run")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_torn_or_missing_log_does_not_stop_a_run_that_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Trainer(recipe(data, steps=6), out).run(QUIET)
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "train')
    Trainer(recipe(data, steps=7), out).run(QUIET)
    assert [line["step"] for line in log_of(out)] == [6, 7]
    (out / "log.jsonl").unlink()
    Trainer(recipe(data, steps=8), out).run(QUIET)
    assert [line["step"] for line in log_of(out)] == [8]


def test_a_run_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    before = weights(tmp_path / "run")
    with pytest.raises(RunError, match="a run of another recipe"):
        Trainer(recipe(data, steps=5, learning_rate=0.02), tmp_path / "run").run(QUIET)
    after = weights(tmp_path / "run")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_folder_in_use_is_refused(data: Path, tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(RunError, match="another process is training"):
        Trainer(recipe(data), tmp_path).run(QUIET)


def test_a_file_in_the_place_of_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        Trainer(recipe(data), tmp_path / "file").run(QUIET)


def test_data_without_a_crystal_are_refused(data: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "empty.parquet", [])
    values = recipe_values(data)
    for name in ("train", "validation"):
        changed = values | {"data": values["data"] | {name: str(tmp_path / "empty.parquet")}}
        with pytest.raises(InputError, match=r"empty\.parquet holds no crystal"):
            Trainer(parse_recipe(changed, "test"), tmp_path / "run")


def test_data_of_which_no_example_is_short_enough_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gives no batch.*60 crystals.*more than 4 tokens"):
        Trainer(recipe(data, max_tokens=4), tmp_path / "run").run(QUIET)


def test_a_loss_that_is_not_finite_ends_the_run(data: Path, tmp_path: Path) -> None:
    # Weights that overflow: a rate no schedule would have.
    wild = recipe(data, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(RunError, match=r"the loss is .* try a smaller optim.learning_rate"):
        Trainer(wild, tmp_path / "run").run(QUIET)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def test_two_processes_train_one_model(data: Path, tmp_path: Path) -> None:
    """As `torchrun` starts them: the variables of the environment are all they know."""
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_values(data), sort_keys=False))
    script = (
        "import os, sys\nfrom pathlib import Path\nimport torch\n"
        "from rich.console import Console\nfrom safetensors.torch import save_file\n"
        "from crystext.config import load_recipe\nfrom crystext.training.trainer import Trainer\n"
        "torch.set_num_threads(1)\nout = Path(sys.argv[2])\n"
        "trainer = Trainer(load_recipe(sys.argv[1]), out)\ntrainer.run(Console(quiet=True))\n"
        "save_file({n: p.detach().clone() for n, p in trainer.average.items()},"
        " out / f'{os.environ[\"RANK\"]}.safetensors')\n"
    )

    def train(processes: int, out: Path) -> None:
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        command = [sys.executable, "-c", script, str(path), str(out)]
        started = [
            subprocess.Popen(
                command,
                env={**os.environ, **shared, "WORLD_SIZE": str(processes), "RANK": str(rank)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(processes)
        ]
        for process in started:
            _, message = process.communicate(timeout=300)
            assert process.returncode == 0, message

    train(2, tmp_path / "two")
    first = load_file(tmp_path / "two" / "0.safetensors")
    second = load_file(tmp_path / "two" / "1.safetensors")
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert load_model(tmp_path / "two" / "model").network.dtype == torch.bfloat16
    with pytest.raises(RunError, match="a run of 2 processes, and here are 1"):
        Trainer(recipe(data), tmp_path / "two").run(QUIET)
