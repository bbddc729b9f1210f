from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from crystext.errors import ModelError
from crystext.generation.worker_count import available_bytes, default_workers


def test_no_more_processes_are_started_than_there_are_batches(tiny_model: Path) -> None:
    assert default_workers(tiny_model, 1) == 1


def test_processors_bound_the_processes(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crystext.generation.worker_count.available_bytes", lambda: 10**15)
    assert default_workers(tiny_model, 10**6) == len(os.sched_getaffinity(0))


def test_memory_bounds_the_processes_by_the_size_of_the_model(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    monkeypatch.setattr("crystext.generation.worker_count.available_bytes", lambda: 10 * 10**9)
    small = default_workers(tiny_model, 10**6)
    assert small == 12  # of 0.8 GB each
    large = tmp_path / "large"
    large.mkdir()
    for path in tiny_model.iterdir():
        (large / path.name).symlink_to(path)
    (large / "model.safetensors").unlink()
    with (large / "model.safetensors").open("wb") as file:
        file.truncate(10**8)
    assert default_workers(large, 10**6) == 10
    monkeypatch.setattr("crystext.generation.worker_count.available_bytes", lambda: 0)
    assert default_workers(large, 10**6) == 1


def test_the_memory_is_no_more_than_the_machine_has_free() -> None:
    assert 0 < available_bytes() < 1.1 * psutil.virtual_memory().available + 5e8


def test_a_model_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        default_workers(tmp_path / "nowhere", 1)
