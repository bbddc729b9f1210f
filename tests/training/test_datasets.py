"""What a run learns from and is scored on: never nothing, and what is left out is told."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from crystext.data.store import write_store
from crystext.errors import SettingError
from crystext.structures.crystal import Crystal
from crystext.tasks import Record
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.trainer import Trainer
from tests.example_crystals import IRON, QUARTZ, SRTIO3
from tests.tiny_model import write_tiny_store
from tests.training.test_trainer import recipe_values

BY_THE_BATCH = [
    {"batch_tokens": 600},
    {"batch_tokens": None, "batch_sequences": 8},
]


def recipe(store: Path, tasks: dict[str, float] | None = None, **optim: Any) -> Recipe:
    values = recipe_values(store, **{"steps": 4, **optim})
    return parse_recipe(values | {"tasks": tasks or values["tasks"]}, "test")


def two_sizes(folder: Path, large: Crystal) -> Path:
    """Write a store of iron to learn from, and of larger crystals to be scored on."""
    rng = np.random.default_rng(0)

    def strained(crystal: Crystal) -> list[Record]:
        scales = rng.uniform(0.9, 1.1, 20)
        parts = crystal.angles, crystal.numbers, crystal.positions
        return [Record(Crystal(crystal.lengths * x, *parts), {"band_gap": 1.0}) for x in scales]

    write_store(folder, {"train": strained(IRON), "validation": strained(large)})
    return folder


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_batch_of_tokens_is_that_many_in_the_mean(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "store", 150)
    batches = Trainer(recipe(store, batch_tokens=1000), tmp_path / "run").batches
    sizes = [sum(len(ids) for ids, _ in batches[step]) for step in range(30)]
    assert abs(np.mean(sizes) - 1000) < 50


@pytest.mark.parametrize("batch", BY_THE_BATCH, ids=["tokens", "sequences"])
def test_a_run_on_nothing_is_refused_however_the_batch_is_given(
    tmp_path: Path, batch: dict[str, Any]
) -> None:
    store = write_tiny_store(tmp_path / "store")
    expected = r"give no batch: among 60 train crystals none .* at most 16 tokens .*raise optim"
    with pytest.raises(SettingError, match=expected):
        Trainer(recipe(store, max_tokens=16, **batch), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batch", BY_THE_BATCH, ids=["tokens", "sequences"])
def test_the_share_that_is_too_long_is_told_and_logged(
    tmp_path: Path, batch: dict[str, Any]
) -> None:
    store, told = write_tiny_store(tmp_path / "store"), io.StringIO()
    asked = recipe(store, {"unconditional": 1.0}, max_tokens=40, **batch)
    Trainer(asked, tmp_path / "run").run(Console(file=told, width=200))
    # Of the five handmade crystals, quartz and rock salt are longer.
    assert re.search(r"about (39|40)\.\d% of the examples are", told.getvalue())
    assert "longer than 40 tokens (optim.max_tokens) and are left out" in told.getvalue()
    first = log_of(tmp_path / "run")[0]
    assert first["step"] == 0
    assert first["too_long"] == pytest.approx(0.4, abs=0.02)


def test_where_nothing_is_left_out_nothing_is_told(tmp_path: Path) -> None:
    told = io.StringIO()
    store = write_tiny_store(tmp_path / "store")
    Trainer(recipe(store), tmp_path / "run").run(Console(file=told, width=200))
    assert "left out" not in told.getvalue()
    assert all("too_long" not in line for line in log_of(tmp_path / "run"))


def test_a_task_without_a_validation_example_has_no_score(tmp_path: Path) -> None:
    # The prompt that asks for an element is the longer one.
    store, told = two_sizes(tmp_path / "store", SRTIO3), io.StringIO()
    tasks = {"unconditional": 0.5, "infill_element": 0.5}
    whole = Trainer(recipe(store, tasks), tmp_path / "whole").datasets.validation
    most = max(whole["unconditional"].lengths(range(20)))
    assert most < min(whole["infill_element"].lengths(range(20)))
    asked = recipe(store, tasks, max_tokens=most)
    Trainer(asked, tmp_path / "run").run(Console(file=told, width=200))
    assert "not scored: infill_element, of which no validation record" in told.getvalue()
    *_, scored = [line for line in log_of(tmp_path / "run") if "loss_mean" in line]
    assert "loss_infill_element" not in scored
    assert scored["loss_mean"] == scored["loss_unconditional"] > 1


def test_a_run_that_could_not_be_scored_is_refused(tmp_path: Path) -> None:
    store = two_sizes(tmp_path / "store", QUARTZ)
    with pytest.raises(SettingError, match="among 20 validation crystals none makes an example"):
        Trainer(recipe(store, {"unconditional": 1.0}, max_tokens=40), tmp_path / "run")
