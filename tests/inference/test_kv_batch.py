from __future__ import annotations

import pytest
import torch

from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.kv_batch import KVBatch
from crystext.inference.packed_linear import Linear
from tests.inference.test_cpu_llama import PROMPT, all_logits, network_of, random_tokens

ROWS, STEPS, LENGTH = 40, 42, 7


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_texts_that_begin_and_end_at_any_time_have_the_logits_of_transformers(
    kv_heads: int,
) -> None:
    """More blocks than are kept apart, more tokens than a block holds at first, rows that move."""
    network = network_of(num_key_value_heads=kv_heads)
    prompt, tokens = random_tokens(PROMPT), random_tokens(ROWS, STEPS)
    expected = all_logits(network, prompt, tokens)
    with torch.inference_mode():
        llama = CpuLlama(network, torch.float32)
        texts = KVBatch(llama, prompt, 3, PROMPT + STEPS)
        rows = [(0, 0), (1, 0), (2, 0)]  # The text, and its number of tokens, of each row.
        begun, ended = 3, 0
        while rows:
            found = llama.logits(texts.hidden_B_D)
            for row, (text, step) in enumerate(rows):
                assert torch.allclose(found[row], expected[text, step], atol=1e-4)
            texts.append(torch.stack([tokens[text, step] for text, step in rows]))
            rows = [(text, step + 1) for text, step in rows]
            # Text 1 is the longest; the others have lengths of their own.
            stays = [step < (STEPS if text == 1 else 2 + text % LENGTH) for text, step in rows]
            order = texts.keep(torch.tensor(stays))
            ended += stays.count(False)
            rows = [rows[i] for i in order.tolist()]
            if begun < ROWS:
                count = min(1 + begun % 3, ROWS - begun)
                texts.add(count)
                rows += [(begun + i, 0) for i in range(count)]
                begun += count
        assert ended == ROWS
        assert texts.rows == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_text_has_the_same_bits_alone_and_among_others(dtype: torch.dtype) -> None:
    """So a run may sample texts in any batches; numbers of rows and of blocks differ here."""
    network = network_of(hidden_size=64, max_position_embeddings=128)
    prompt, tokens = random_tokens(PROMPT), random_tokens(70, 40)
    with torch.inference_mode():
        llama = CpuLlama(network, dtype)
        texts = KVBatch(llama, prompt, 5, PROMPT + 40)
        for step in range(20):
            texts.append(tokens[:5, step])
        texts.add(65)
        for step in range(20):
            texts.append(torch.cat([tokens[:5, 20 + step], tokens[5:, step]]))
        alone = KVBatch(llama, prompt, 1, PROMPT + 40)
        for token in tokens[3]:
            alone.append(token[None])
        assert torch.equal(alone.hidden_B_D[0], texts.hidden_B_D[3])
        assert torch.equal(llama.logits(alone.hidden_B_D)[0], llama.logits(texts.hidden_B_D)[3])


def test_a_packed_layer_multiplies_as_a_linear_one() -> None:
    weight = torch.randn(96, 64, generator=torch.Generator().manual_seed(2))
    x = torch.randn(11, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        expected = torch.nn.functional.linear(x, weight)
        assert torch.allclose(Linear(weight)(x), expected, atol=1e-4)
        halves = x.bfloat16(), weight.bfloat16()
        found = Linear(halves[1])(halves[0])
        assert torch.equal(found, torch.nn.functional.linear(*halves))
