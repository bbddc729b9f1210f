"""A model with random weights, drawn from in a moment, and a store of crystals to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from crystext.data.store import write_store
from crystext.models.architectures.llama import new_llama
from crystext.models.load import save_model
from crystext.structures.crystal import Crystal
from crystext.tasks import Record
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from tests.example_crystals import EXAMPLE_CRYSTALS

SMALL_LENGTHS = [f"{separator}{i}." for separator in ("", " ") for i in (3, 4, 5)]


def write_tiny_model(folder: Path) -> Path:
    """Write a model whose cells are small, so that atoms meet, and whose texts vary in length.

    The last entry of each state is positive, so what an output row has there raises its logit.
    """
    prompts = load_prompts()
    tokenizer = build_tokenizer(prompts.phrases())
    network = new_llama(
        tokenizer,
        hidden_size=64,
        intermediate_size=128,
        layers=2,
        heads=4,
        max_tokens=256,
        seed=0,
    )
    rows = network.get_input_embeddings().weight
    with torch.no_grad():
        rows[:, -1] = 0.1
        rows[tokenizer.convert_tokens_to_ids(SMALL_LENGTHS), -1] += 1.5
        rows[tokenizer.eos_token_id, -1] += 0.3
    save_model(folder, network.bfloat16(), tokenizer, prompts, PLAIN)
    return folder


def write_tiny_store(folder: Path, count: int = 60) -> Path:
    """Write a store of handmade crystals, strained, so that each is another; both splits alike."""
    rng = np.random.default_rng(0)
    handmade = list(EXAMPLE_CRYSTALS.values())
    records = []
    for i in range(count):
        crystal = handmade[i % len(handmade)]
        lengths = crystal.lengths * rng.uniform(0.9, 1.1)
        strained = Crystal(lengths, crystal.angles, crystal.numbers, crystal.positions)
        records.append(Record(strained, {"band_gap": float(i)}))
    write_store(folder, {"train": records, "validation": records})
    return folder
