"""What numbers weigh in the loss: those of a crystal less, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rich.console import Console

from crystext.errors import SettingError
from crystext.tasks.base import Example
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, WYCKOFF, encode
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.tokenization.encode import example_ids
from crystext.training.loss import PackedLoss
from crystext.training.number_weighting import NumberWeights
from crystext.training.packing import pack
from crystext.training.recipe import parse_recipe
from crystext.training.trainer import Trainer
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.tiny_model import write_tiny_store

TOKENIZER = build_tokenizer(load_prompts().phrases())
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_what_weighs_less_are_the_numbers_with_a_point_and_nothing_else(name: str) -> None:
    weights = NumberWeights(TOKENIZER, 0.25, CPU)
    for fmt in (PLAIN, WYCKOFF):
        text = encode(EXAMPLE_CRYSTALS[name], fmt)
        packed = pack([example_ids(TOKENIZER, Example("Formula: Cs12O4\nDensity: 3.40\n", text))])
        pieces = [TOKENIZER.decode([i]) for i in packed.targets_K.tolist()]
        light = [x < 1 for x in weights(packed).tolist()]
        assert "".join(pieces[:-1]) == text
        words = text.split()
        heavy = "".join(" " if x else p for p, x in zip(pieces[:-1], light[:-1], strict=True))
        assert heavy.split() == [word for word in words if "." not in word]
        numbers = "".join(p if x else " " for p, x in zip(pieces, light, strict=True))
        assert numbers.split() == [word for word in words if "." in word]


def test_the_loss_that_is_learned_from_is_the_weighted_one(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "store")
    values = {
        "data": {"store": str(store)},
        "tasks": {"unconditional": 1.0},
        "translate_probability": 0.0,
        "number_weight": 0.5,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}},
        "optim": {
            "optimizer": "adamw",
            "learning_rate": 0.01,
            "steps": 1,
            "batch_tokens": 600,
            "micro_tokens": 600,
        },
        "precision": "fp32",
    }
    trainer = Trainer(parse_recipe(values, "test"), tmp_path / "run")
    rows = trainer.batches[0]
    packed = pack(rows)
    with torch.no_grad():
        losses = PackedLoss(trainer.initial_model.network, CPU, bf16=False)(packed)
        weights = NumberWeights(TOKENIZER, 0.5, CPU)(packed)
        plain = trainer.evaluate()["loss_unconditional"]
    assert 0 < float((weights < 1).float().mean()) < 1
    loss, _ = trainer._train_step(rows)
    assert float(loss) == pytest.approx(float((losses * weights).mean()), rel=1e-5)
    assert float(loss) < 0.9 * float(losses.mean())
    # Scores on validation are of whole texts, so that runs of any weight compare.
    assert plain == pytest.approx(float(losses.mean()), rel=0.1)
    trainer.run(Console(quiet=True))
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_a_tokenizer_that_spells_numbers_is_refused() -> None:
    digits = build_tokenizer(load_prompts().phrases())
    spelled = digits.train_new_from_iterator(["0.1 2.3"], vocab_size=300)
    with pytest.raises(SettingError, match="number_weight=1"):
        NumberWeights(spelled, 0.5, CPU)
