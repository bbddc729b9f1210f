from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from crystext.errors import SettingError
from crystext.models.architectures.residual_dropout import add_residual_dropout

IDS = torch.arange(12)[None]


def small_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=16,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )


def test_a_network_in_training_forgets_the_share_of_what_its_layers_add() -> None:
    network = small_llama().train()
    added: list[torch.Tensor] = []
    network.model.layers[1].mlp.register_forward_hook(lambda *call: added.append(call[2]))
    add_residual_dropout(network, 0.25)
    network.model.layers[1].mlp.register_forward_hook(lambda *call: added.append(call[2]))
    network(torch.randint(16, (50, 20)))
    before, after = added
    dropped = after == 0
    assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.01)
    # What is left is larger by as much, so that the mean stays.
    assert torch.allclose(after[~dropped], (before / 0.75)[~dropped])


def test_a_network_that_is_scored_forgets_nothing() -> None:
    network = small_llama().eval()
    before = network(IDS).logits
    add_residual_dropout(network, 0.5)
    assert torch.equal(network(IDS).logits, before)
    assert not torch.equal(network.train()(IDS).logits, before)


def test_a_seed_decides_what_is_dropped() -> None:
    network = small_llama().train()
    add_residual_dropout(network, 0.5)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(network(IDS).logits)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_network_of_another_build_is_refused() -> None:
    other = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(SettingError, match="GPT2LMHeadModel"):
        add_residual_dropout(other, 0.1)
