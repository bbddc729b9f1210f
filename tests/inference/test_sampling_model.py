"""What sampling reads of a model's folder without transformers, and what it leaves to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crystext.inference.generate import TextGenerator
from crystext.inference.sampling_model import read_sampling_model
from crystext.inference.types import SamplingSettings
from crystext.models.layout import open_model
from crystext.models.plain_llama import PlainLlama
from crystext.tokenization.plain_tokenizer import read_plain_tokenizer


def test_weights_are_read_only_for_the_crystal_vocabulary(tiny_model: Path, tmp_path: Path) -> None:
    assert read_sampling_model(open_model(tiny_model)) is not None
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    path = folder / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace('" 0.250"', '" quarter"'))
    assert read_plain_tokenizer(folder) is not None
    assert read_sampling_model(open_model(folder)) is None


@pytest.mark.parametrize("constrained", [True, False])
def test_a_model_is_read_once_for_the_sampler_that_needs_it(
    tiny_model: Path, *, constrained: bool
) -> None:
    """Without constraints another sampler needs the whole model."""
    generator = TextGenerator(open_model(tiny_model), SamplingSettings(constrained=constrained))
    assert isinstance(generator.network, PlainLlama) == constrained
