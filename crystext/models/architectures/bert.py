"""BERT (Devlin et al., arXiv:1810.04805), the encoder of MatBERT; and RoBERTa (arXiv:1907.11692).

RoBERTa is BERT without the second kind of text, and counts positions behind the padding token's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import BertConfig, PreTrainedTokenizerBase, RobertaConfig

    from crystext.models.settings import NewNetworkSettings


def bert_config(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int
) -> BertConfig:
    """Return the configuration of a BERT; it has as many positions as the longest text."""
    from transformers import BertConfig

    return BertConfig(max_position_embeddings=max_tokens, **_sizes(tokenizer, sizes))


def roberta_config(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int
) -> RobertaConfig:
    """Return the configuration of a RoBERTa for texts of `max_tokens` tokens."""
    from transformers import RobertaConfig

    return RobertaConfig(
        max_position_embeddings=max_tokens + first_roberta_position(tokenizer.pad_token_id),
        type_vocab_size=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **_sizes(tokenizer, sizes),
    )


def first_roberta_position(padding_token: int) -> int:
    """Return the position of a text's first token; those before are never used."""
    return padding_token + 1


def _sizes(tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "hidden_dropout_prob": sizes.dropout,
        "attention_probs_dropout_prob": sizes.dropout,
        "pad_token_id": tokenizer.pad_token_id,
    }
