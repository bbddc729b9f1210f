from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from crystext.errors import ModelError
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.kv_batch import KVBatch

VOCABULARY, PROMPT, STEPS, ROWS = 97, 7, 12, 5

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "grouped": {"num_key_value_heads": 2},
    "one key head": {"num_key_value_heads": 1},
    "wide heads": {"head_dim": 32},
    "other epsilon": {"rms_norm_eps": 1e-2},
    "stretched": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    },
}


def network_of(**changes: object) -> LlamaForCausalLM:
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,
        **changes,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    # Norms start as ones, which would hide a norm that is left out.
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" in name:
                weight.mul_(torch.linspace(0.5, 1.5, len(weight)))
    return network


def random_tokens(*shape: int) -> torch.Tensor:
    return torch.randint(VOCABULARY, shape, generator=torch.Generator().manual_seed(1))


def all_logits(network: LlamaForCausalLM, prompt: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return transformers' logits behind the prompt and behind each further token: (B, T, V)."""
    whole = torch.cat([prompt.expand(len(rows), -1), rows], dim=1)
    with torch.no_grad():
        logits: torch.Tensor = network(whole).logits
    return logits[:, len(prompt) - 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_gives_the_logits_of_transformers(kind: str) -> None:
    network = network_of(**KINDS[kind])
    prompt, rows = random_tokens(PROMPT), random_tokens(ROWS, STEPS)
    expected = all_logits(network, prompt, rows)
    with torch.inference_mode():
        llama = CpuLlama(network, torch.float32)
        texts = KVBatch(llama, prompt, ROWS, PROMPT + STEPS)
        for step in range(STEPS + 1):
            found = llama.logits(texts.hidden_B_D)
            assert torch.allclose(found, expected[:, step], atol=1e-4), f"step {step}"
            if step < STEPS:
                texts.append(rows[:, step])


@pytest.mark.parametrize("kind", ["plain", "grouped"])
def test_texts_that_are_left_go_on_as_if_the_others_had_never_been(kind: str) -> None:
    network = network_of(**KINDS[kind])
    prompt, rows = random_tokens(PROMPT), random_tokens(9, STEPS)
    expected = all_logits(network, prompt, rows)
    leave = {3: [1, 8], 5: [0], 6: [3, 4, 5], 9: [2]}  # Old rows, by the step before which they go.
    with torch.inference_mode():
        llama = CpuLlama(network, torch.float32)
        texts = KVBatch(llama, prompt, 9, PROMPT + STEPS)
        order = torch.arange(9)
        for step in range(STEPS):
            if step in leave:
                kept = ~torch.isin(order, torch.tensor(leave[step]))
                order = order[texts.keep(kept)]
            found = llama.logits(texts.hidden_B_D)
            assert torch.allclose(found, expected[order, step], atol=1e-4), f"step {step}"
            texts.append(rows[order, step])
    assert sorted(order.tolist()) == [6, 7]


def test_all_texts_may_leave() -> None:
    with torch.inference_mode():
        texts = KVBatch(CpuLlama(network_of(), torch.float32), random_tokens(2), 3, 4)
        assert texts.keep(torch.zeros(3, dtype=torch.bool)).tolist() == []


def test_logits_can_be_had_for_some_tokens_only() -> None:
    with torch.inference_mode():
        llama = CpuLlama(network_of(), torch.float32)
        hidden = KVBatch(llama, random_tokens(PROMPT), 2, PROMPT).hidden_B_D
        whole = llama.logits(hidden)
        # Of more arrays than parts of the head are kept.
        arrays = [np.array([5, 90, 5, i]) for i in range(70)]
        for ids in [*arrays, *arrays]:
            assert torch.allclose(llama.logits(hidden, ids), whole[:, ids], atol=1e-6)


def test_half_precision_leaves_the_positions_as_exact_as_transformers_has_them() -> None:
    network = network_of(max_position_embeddings=256)
    exact = network.model.rotary_emb.inv_freq.clone()
    halved = CpuLlama(network, torch.bfloat16)
    turns = torch.arange(256)[:, None] * exact
    expected = torch.cat([turns.cos(), turns.cos()], dim=1).bfloat16()
    assert torch.equal(halved.cos, expected)
    assert torch.equal(halved.sin.abs()[:, 6:], turns.sin().abs().bfloat16())
    assert network.dtype == torch.float32


def test_half_precision_is_near_full_precision() -> None:
    network = network_of(initializer_range=0.05)
    prompt, rows = random_tokens(PROMPT), random_tokens(ROWS, STEPS)
    expected = all_logits(network, prompt, rows)
    with torch.inference_mode():
        llama = CpuLlama(network, torch.bfloat16)
        texts = KVBatch(llama, prompt, ROWS, PROMPT + STEPS)
        for step in range(STEPS):
            texts.append(rows[:, step])
        found = llama.logits(texts.hidden_B_D).float()
    assert (found - expected[:, -1]).std() < 0.02 * expected[:, -1].std()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
    ],
)
def test_a_llama_with_other_blocks_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        CpuLlama(network_of(**changes), torch.float32)


def test_another_network_is_refused() -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50, n_positions=16)
    with pytest.raises(ModelError, match="gpt2"):
        CpuLlama(GPT2LMHeadModel(config), torch.float32)  # type: ignore[arg-type]


def test_texts_longer_than_the_model_s_positions_are_refused() -> None:
    llama = CpuLlama(network_of(), torch.float32)
    KVBatch(llama, random_tokens(PROMPT), 1, 64)
    with pytest.raises(ModelError, match=r"65 tokens.*64 positions"):
        KVBatch(llama, random_tokens(PROMPT), 1, 65)
