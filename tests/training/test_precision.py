"""A recipe that leaves the precision open trains in what its processor is fast in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from crystext.training.distributed import make_accelerator
from crystext.training.log import RECIPE_FILE
from crystext.training.precision import precision_notes, with_precision
from crystext.training.recipe import Recipe, load_recipe
from crystext.training.trainer import Trainer

CPU = torch.device("cpu")
SHORT = ("optim.steps=2", "checkpoint_every=1", "evaluate_every=2", "optim.batch_tokens=1500")


def recipe(precision: str) -> Recipe:
    return load_recipe("smoke", [f"precision={precision}"])


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    return found


def chosen(given: str, run: Path) -> str:
    settings = recipe(given)
    return with_precision(settings, run, make_accelerator(settings, run)).precision


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what is chosen on a processor")
class TestAuto:
    def test_without_instructions_for_bfloat16_it_is_float32(
        self, processor: dict[str, Any], tmp_path: Path
    ) -> None:
        assert chosen("auto", tmp_path) == "fp32"

    @pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
    def test_with_them_it_is_bfloat16(
        self, processor: dict[str, Any], instructions: str, tmp_path: Path
    ) -> None:
        processor[instructions] = True
        assert chosen("auto", tmp_path) == "bf16"

    @pytest.mark.parametrize("given", ["bf16", "fp32"])
    def test_a_recipe_that_names_one_has_it(
        self, processor: dict[str, Any], given: str, tmp_path: Path
    ) -> None:
        assert chosen(given, tmp_path) == given

    @pytest.mark.parametrize("text", ["precision: half\n", "[]\n", "{", "\udcff"])
    def test_an_illegible_recipe_of_the_run_is_no_obstacle(
        self, processor: dict[str, Any], text: str, tmp_path: Path
    ) -> None:
        (tmp_path / RECIPE_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
        assert chosen("auto", tmp_path) == "fp32"

    def test_a_run_goes_on_in_its_precision_on_another_processor(
        self, processor: dict[str, Any], tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        quiet = Console(quiet=True)
        Trainer(load_recipe("smoke", [*SHORT, "optim.steps=1"]), run).run(quiet)
        processor["amx_bf16"] = True
        second = Trainer(load_recipe("smoke", [*SHORT]), run)
        second.run(quiet)
        assert second.recipe.precision == "fp32"
        assert second.step == 2


class TestNotes:
    def test_slow_bfloat16_is_told(self, processor: dict[str, Any]) -> None:
        assert "precision=fp32" in precision_notes(recipe("bf16"), CPU)[0]
        assert precision_notes(recipe("fp32"), CPU) == ()
        assert precision_notes(recipe("bf16"), torch.device("cuda")) == ()

    @pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
    def test_a_processor_with_the_instructions_is_left_in_peace(
        self, processor: dict[str, Any], instructions: str
    ) -> None:
        processor[instructions] = True
        assert precision_notes(recipe("bf16"), CPU) == ()
