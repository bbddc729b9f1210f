"""The encoder of T5 (Raffel et al., arXiv:1910.10683), without its decoder, as LLM-Prop uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5EncoderModel

    from crystext.models.settings import NewEncoderSettings


def new_t5_encoder(
    tokenizer: PreTrainedTokenizerBase, sizes: NewEncoderSettings, seed: int
) -> T5EncoderModel:
    """Make an encoder of T5 version 1.1 with random weights; the seed determines them."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=sizes.hidden_size,
        d_kv=sizes.hidden_size // sizes.heads,
        d_ff=sizes.intermediate_size,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return T5EncoderModel(config)
