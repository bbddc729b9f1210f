"""BERT (Devlin et al., arXiv:1810.04805), the encoder of MatBERT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerBase

    from crystext.models.settings import NewEncoderSettings, Pooling


def new_bert(
    tokenizer: PreTrainedTokenizerBase,
    sizes: NewEncoderSettings,
    pooling: Pooling,
    max_tokens: int,
    seed: int,
) -> BertModel:
    """Make a BERT with random weights; the seed determines them.

    Args:
        tokenizer: of its vocabulary.
        sizes: of the network.
        pooling: cls adds a pooler.
        max_tokens: longest text; it has as many positions.
        seed: of the weights.
    """
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=max_tokens,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BertModel(config, add_pooling_layer=pooling == "cls")
