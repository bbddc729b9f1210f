from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from crystext.errors import ModelError
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.example_stream import TokenizedExample
from crystext.training.loss import PackedLoss
from crystext.training.packed_attention import packed_attention, standard_attention
from crystext.training.packing import dummy_rows, pack, split_micro_batches

VOCABULARY = 50
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
CPU = torch.device("cpu")


def new_network(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=1))
    heads = {"llama": 4, "llama with grouped heads": 2}[kind]
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=heads))


def rows_of(lengths: list[int], seed: int = 0) -> list[TokenizedExample]:
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for length in lengths:
        ids = torch.randint(VOCABULARY, (length,), generator=generator).tolist()
        rows.append((ids, [IGNORED_LABEL] * (length // 3) + ids[length // 3 :]))
    return rows


LENGTHS = [5, 17, 3, 40, 9, 9, 28, 1, 12, 33] * 6  # sixty: more than one grid


@pytest.mark.parametrize("kind", ["llama", "llama with grouped heads", "qwen2"])
def test_a_packed_crystal_has_the_losses_of_the_crystal_alone(kind: str) -> None:
    network, rows = new_network(kind).eval(), rows_of(LENGTHS)
    packed = pack(rows)
    assert len(packed.grids) > 1
    with torch.no_grad():
        losses = PackedLoss(network, CPU, bf16=False)(packed)
        for i, (ids, labels) in enumerate(rows):
            # The oracle: transformers' own attention on the crystal alone.
            with standard_attention(network):
                logits = network(input_ids=torch.tensor([ids])).logits[0]
            wanted = torch.nn.functional.cross_entropy(
                logits[:-1], torch.tensor(labels[1:], dtype=torch.long), reduction="none"
            )
            kept = torch.tensor(labels[1:], dtype=torch.long) != IGNORED_LABEL
            torch.testing.assert_close(losses[packed.example_index_K == i], wanted[kept])


@pytest.mark.parametrize("kind", ["llama", "llama with grouped heads"])
def test_gradients_of_packed_rows_are_those_of_the_rows_alone(kind: str) -> None:
    network, rows = new_network(kind), rows_of(LENGTHS)
    PackedLoss(network, CPU, bf16=False)(pack(rows)).sum().backward()
    packed = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    with standard_attention(network):
        for ids, labels in rows:
            if len(ids) == 1:
                continue
            logits = network(input_ids=torch.tensor([ids])).logits[0, :-1]
            torch.nn.functional.cross_entropy(
                logits, torch.tensor(labels[1:]), ignore_index=IGNORED_LABEL, reduction="sum"
            ).backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_changing_one_crystal_changes_no_other_crystals_loss() -> None:
    model, rows = PackedLoss(new_network("llama").eval(), CPU, bf16=False), rows_of(LENGTHS)
    changed = list(rows)
    changed[3] = rows_of([LENGTHS[3]], seed=1)[0]
    first, second = pack(rows), pack(changed)
    with torch.no_grad():
        before, after = model(first), model(second)
    same = first.example_index_K != 3
    assert torch.equal(before[same], after[same])
    assert not torch.isclose(before[~same], after[~same]).all()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(1, 200))
def test_packing_keeps_every_token_and_every_target_once(
    lengths: list[int], micro_tokens: int
) -> None:
    rows = rows_of(lengths)
    parts = split_micro_batches(rows, micro_tokens)
    assert sorted(map(repr, rows)) == sorted(repr(row) for part in parts for row in part)
    for part in parts:
        packed = pack(part)
        sizes = [len(ids) for ids, _ in part]
        assert packed.tokens == sum(sizes)
        assert packed.tokens <= micro_tokens or len(part) == 1
        assert len(packed.targets_K) == sum(
            label != IGNORED_LABEL for _, labels in part for label in labels[1:]
        )
        for i, (_, labels) in enumerate(part):
            mine = packed.targets_K[packed.example_index_K == i].tolist()
            assert mine == [label for label in labels[1:] if label != IGNORED_LABEL]
        # Each token has one place, in one grid.
        assert sum(len(grid.grid_index) for grid in packed.grids) == packed.tokens
        for grid in packed.grids:
            assert torch.equal(grid.token_index[grid.grid_index], torch.arange(grid.tokens))
        assert packed.cu_seq_lens.diff().tolist() == sorted(sizes)
        assert packed.positions_1_T[0, packed.cu_seq_lens[:-1].long()].tolist() == [0] * len(part)


def test_nothing_has_no_loss_and_its_gradients_are_zero() -> None:
    network = new_network("llama")
    losses = PackedLoss(network, CPU, bf16=False)(pack(dummy_rows(1)))
    assert losses.shape == (0,)
    losses.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in network.parameters())


def test_attention_that_looks_less_far_is_refused() -> None:
    packed = pack(rows_of([10, 4]))
    x = torch.zeros(1, 2, packed.tokens, 8)

    def attend(**limit: Any) -> None:
        packed_attention(torch.nn.Module(), x, x, x, None, 1.0, grids=packed.grids, **limit)

    with pytest.raises(ModelError, match="window or a cap"):
        attend(softcap=30.0)
    with pytest.raises(ModelError, match="window or a cap"):
        attend(sliding_window=4)
    attend(sliding_window=99)
