"""Who trains in bfloat16 on a processor without instructions for it is told so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crystext.training.distributed import precision_notes
from crystext.training.recipe import Recipe, load_recipe

CPU = torch.device("cpu")


def recipe(precision: str) -> Recipe:
    return load_recipe("smoke", [f"precision={precision}"])


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    return found


def test_slow_bfloat16_is_told(processor: dict[str, Any]) -> None:
    assert "precision=fp32" in precision_notes(recipe("bf16"), CPU)[0]
    assert precision_notes(recipe("fp32"), CPU) == ()
    assert precision_notes(recipe("bf16"), torch.device("cuda")) == ()


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_the_instructions_is_left_in_peace(
    processor: dict[str, Any], instructions: str
) -> None:
    processor[instructions] = True
    assert precision_notes(recipe("bf16"), CPU) == ()
