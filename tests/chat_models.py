"""A tiny chat model with random weights: real files, a real tokenizer, a real chat template."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.llm_tokenizers import plain_characters

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)

WITHOUT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    + TEMPLATE
)


def write_chat_model(
    folder: Path, *, template: str | None = TEMPLATE, context: int = 4096, seed: int = 0
) -> Path:
    """Write a model that answers with random characters; `seed` gives another model."""
    tokenizer = plain_characters()
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=context,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # Each state ends in a large positive entry, so that this column of the output is a bias: digits
    # are likely, and answers end soon.
    ends = tokenizer.convert_tokens_to_ids([*"123456789", "</s>"])
    with torch.no_grad():
        network.model.embed_tokens.weight[:, -1] = 1.0
        network.lm_head.weight[ends, -1] += 1.2
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
