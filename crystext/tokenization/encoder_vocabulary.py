"""Tokenizers of encoders: a class token in front, tokens for lengths and angles, cut at the end.

    [CLS] Sr ##–O bond lengths [NUM] . [SEP]

A tokenizer of a base gets the tokens that it lacks: T5's has no class token, and LLaMA's has one by
another name, its first token. Those of new networks are made in `new_tokenizers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crystext.text.descriptions import ANGLE_TOKEN, LENGTH_TOKEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CLASS = "[CLS]"


def add_missing_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer a class token and tokens for lengths and angles, if it has none."""
    from tokenizers import AddedToken

    if tokenizer.cls_token_id is None and tokenizer.bos_token is not None:
        tokenizer.cls_token = tokenizer.bos_token
    if tokenizer.cls_token_id is None:
        tokenizer.add_special_tokens({"cls_token": CLASS})
    # As they are, also where a tokenizer lowers all letters.
    marks = [AddedToken(name, normalized=False) for name in (LENGTH_TOKEN, ANGLE_TOKEN)]
    tokenizer.add_tokens(marks)


def ignores_case(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer reads CO, carbon monoxide, and Co, cobalt, alike."""
    first, second = (tokenizer(text).input_ids for text in ("CO", "Co"))
    return bool(first == second)


def encoder_ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int | None = None
) -> list[list[int]]:
    """Return the token ids of texts, with the class token in front.

    Args:
        tokenizer: one with a class token.
        texts: as they are read.
        max_tokens: longer texts lose their end; None cuts none.
    """
    if not texts:
        return []
    own = tokenizer("").input_ids[:1] == [tokenizer.cls_token_id]
    limit = None if max_tokens is None else max_tokens - (not own)
    rows: list[list[int]] = tokenizer(
        list(texts), truncation=limit is not None, max_length=limit, verbose=False
    ).input_ids
    return rows if own else [[int(tokenizer.cls_token_id), *row] for row in rows]
