from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from crystext.errors import RunError
from crystext.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)


def tensors_of(value: float) -> dict[str, dict[str, torch.Tensor]]:
    content = {"a": torch.full((40, 50), value), "b.c": torch.full((7,), -value)}
    return {"weights": content, "ema": content}


def saved_value(folder: Path) -> float:
    """Return the value that all of a checkpoint agrees on."""
    found = load_checkpoint(folder)
    assert found is not None
    tensors, state = found
    value = float(state["value"])
    for group in ("weights", "ema"):
        assert torch.equal(tensors[group]["a"], torch.full((40, 50), value))
        assert torch.equal(tensors[group]["b.c"], torch.full((7,), -value))
    return value


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {
        "weights": {"w": torch.randn(3, 4).bfloat16(), "turned": torch.randn(5, 6).T},
        "adamw": {"0.step": torch.tensor(7.0), "0.exp_avg": torch.randn(4)},
    }
    save_checkpoint(tmp_path / "checkpoint", tensors, {"step": 7, "recipe": {"seed": 0}})
    found = load_checkpoint(tmp_path / "checkpoint")
    assert found is not None
    read, state = found
    assert state == {"step": 7, "recipe": {"seed": 0}}
    assert read.keys() == tensors.keys()
    for group, content in tensors.items():
        for name, tensor in content.items():
            assert torch.equal(read[group][name], tensor)
            assert read[group][name].dtype == tensor.dtype


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint") is None


def test_the_next_one_takes_the_place_of_the_last(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        save_checkpoint(tmp_path / "checkpoint", tensors_of(value), {"value": value})
        assert saved_value(tmp_path / "checkpoint") == value
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_kills_at_any_moment_leave_a_whole_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    script = (
        "import sys, itertools, torch\nfrom pathlib import Path\n"
        "from crystext.training.checkpoint import save_checkpoint\n"
        "for value in map(float, itertools.count(int(sys.argv[1]))):\n"
        "    content = {'a': torch.full((40, 50), value), 'b.c': torch.full((7,), -value)}\n"
        "    tensors = {'weights': content, 'ema': content}\n"
        f"    save_checkpoint(Path({str(folder)!r}), tensors, {{'value': value}})\n"
    )
    last = 0.0
    for pause in (0.0, 0.013, 0.037):
        process = subprocess.Popen([sys.executable, "-c", script, str(int(last) + 1)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not folder.exists() or saved_state(folder) <= last):
            time.sleep(0.005)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert saved_value(folder) > last
        last = saved_value(folder)


def saved_state(folder: Path) -> float:
    """Return what `state.json` says at this moment, or 0 where it is just being replaced."""
    try:
        return float(json.loads((folder / "state.json").read_text())["value"])
    except (OSError, ValueError):
        return 0.0


def killed_before_the_second_rename(folder: Path) -> None:
    folder.rename(folder.with_name("checkpoint.previous"))


def killed_before_the_first_rename(folder: Path) -> None:
    partial = folder.with_name("checkpoint.partial")
    partial.mkdir()
    (partial / "weights.safetensors").write_bytes(b"half")


def killed_before_the_last_removal(folder: Path) -> None:
    previous = folder.with_name("checkpoint.previous")
    previous.mkdir()
    (previous / "state.json").write_text("{")


@pytest.mark.parametrize(
    "kill",
    [
        killed_before_the_first_rename,
        killed_before_the_second_rename,
        killed_before_the_last_removal,
    ],
)
def test_whatever_a_kill_leaves_the_whole_one_is_read_and_the_next_one_is_written(
    tmp_path: Path, kill: Callable[[Path], None]
) -> None:
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, tensors_of(1.0), {"value": 1.0})
    kill(folder)
    assert saved_value(folder) == 1.0
    save_checkpoint(folder, tensors_of(2.0), {"value": 2.0})
    assert saved_value(folder) == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, tensors_of(1.0), {"value": 1.0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        expected = r"written to \S+: File too large; .* checkpoint is intact$"
        with pytest.raises(RunError, match=expected):
            save_checkpoint(folder, tensors_of(2.0), {"value": 2.0})
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert saved_value(folder) == 1.0


def test_a_place_that_takes_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"written to \S+: Not a directory; .* again$"):
        save_checkpoint(tmp_path / "file" / "checkpoint", tensors_of(1.0), {"value": 1.0})
    # Too large for the disk, as a full one would have it, but for the tensors.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        with pytest.raises(RunError, match=r"written to \S+: File too large; free .* again$"):
            save_checkpoint(tmp_path / "checkpoint", {}, {"value": "x" * 20_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors"])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, tensors_of(1.0), {"value": 1.0})
    os.truncate(folder / name, 5)
    with pytest.raises(RunError, match=r"checkpoint in .* is damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_an_optimizer_goes_on_to_the_bit_from_its_tensors(kind: str, tmp_path: Path) -> None:
    def new() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = torch.nn.Linear(6, 8, bias=False)
        parameters = list(layer.parameters())
        if kind == "muon":
            return layer, torch.optim.Muon(parameters, lr=0.1, adjust_lr_fn="match_rms_adamw")
        return layer, torch.optim.AdamW(parameters, lr=0.1)

    def steps(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, count: range) -> None:
        for i in count:
            inputs = torch.linspace(-1, 1, 6) * (i + 1)
            layer(inputs).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    whole, optimizer = new()
    steps(whole, optimizer, range(6))
    first, optimizer = new()
    steps(first, optimizer, range(3))
    tensors = {"weights": {"w": first.weight.detach()}, kind: optimizer_tensors(optimizer)}
    save_checkpoint(tmp_path / "checkpoint", tensors, {})
    found = load_checkpoint(tmp_path / "checkpoint")
    assert found is not None
    second, optimizer = new()
    with torch.no_grad():
        second.weight.copy_(found[0]["weights"]["w"])
    restore_optimizer(optimizer, found[0][kind])
    steps(second, optimizer, range(3, 6))
    assert torch.equal(second.weight, whole.weight)
    assert not torch.equal(first.weight, whole.weight)
