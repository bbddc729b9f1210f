"""The encoder of T5 (Raffel et al., arXiv:1910.10683), without its decoder, as LLM-Prop uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5Config

    from crystext.models.settings import NewNetworkSettings


def t5_config(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int
) -> T5Config:
    """Return the configuration of T5 version 1.1; it has no positions, and takes any length."""
    from transformers import T5Config

    return T5Config(
        vocab_size=len(tokenizer),
        d_model=sizes.hidden_size,
        d_kv=sizes.hidden_size // sizes.heads,
        d_ff=sizes.intermediate_size,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        feed_forward_proj="gated-gelu",
        dropout_rate=sizes.dropout,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
