"""A new network for small tables begins with what is known of elements and numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.models.architectures.element_embeddings import element_embeddings
from crystext.models.architectures.llama import new_llama
from crystext.models.load import load_model, save_model
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from crystext.tokenization.crystal_vocabulary import build_tokenizer


def likeness(rows: np.ndarray, a: str, b: str) -> float:
    x, y = (rows[ATOMIC_NUMBERS[symbol] - 1] for symbol in (a, b))
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_similar_elements_begin_close() -> None:
    rows = element_embeddings(96, 0.5, seed=0)
    assert float(np.sqrt((rows**2).mean())) == pytest.approx(0.5, rel=0.1)
    for element, near, far in (("Na", "K", "Cl"), ("F", "Cl", "Cs"), ("La", "Ce", "O")):
        assert likeness(rows, element, near) > likeness(rows, element, far) + 0.3


def test_an_untied_network_keeps_the_size_of_its_embeddings_and_is_saved_whole(tmp_path) -> None:
    prompts = load_prompts()
    tokenizer = build_tokenizer(prompts.phrases())
    network = new_llama(
        tokenizer,
        hidden_size=32,
        intermediate_size=48,
        layers=1,
        heads=2,
        max_tokens=64,
        seed=0,
        embedding_size=0.5,
        tied=False,
        element_features=True,
    )
    table, head = network.model.embed_tokens.weight, network.lm_head.weight
    assert float(table.detach().std()) == pytest.approx(0.5, rel=0.1)
    assert float(head.detach().std()) == pytest.approx(0.02, rel=0.1)
    save_model(tmp_path, network, tokenizer, prompts, PLAIN)
    assert "lm_head.weight" in load_file(tmp_path / "model.safetensors")
    again = load_model(tmp_path).network
    assert torch.equal(again.get_output_embeddings().weight, head)
    assert torch.equal(again.get_input_embeddings().weight, table)
