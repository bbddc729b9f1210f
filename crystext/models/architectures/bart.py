"""BART (Lewis et al., arXiv:1910.13461): an encoder, and a decoder that reads it.

With a head, both parts read the text, the decoder shifted by one token; its state at the text's
last end-of-text token represents the text, as in transformers' `BartForSequenceClassification`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import BartConfig, PreTrainedTokenizerBase

    from crystext.models.settings import NewNetworkSettings


def bart_config(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int
) -> BartConfig:
    """Return the configuration of a BART for texts of `max_tokens` tokens."""
    from transformers import BartConfig

    return BartConfig(
        vocab_size=len(tokenizer),
        d_model=sizes.hidden_size,
        encoder_ffn_dim=sizes.intermediate_size,
        decoder_ffn_dim=sizes.intermediate_size,
        encoder_layers=sizes.layers,
        decoder_layers=sizes.decoder_layers or sizes.layers,
        encoder_attention_heads=sizes.heads,
        decoder_attention_heads=sizes.heads,
        max_position_embeddings=max_tokens,
        dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
    )
