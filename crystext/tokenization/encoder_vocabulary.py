"""Tokenizers of encoders: a class token in front, tokens for lengths and angles, cut at the end.

    [CLS] Sr ##–O bond lengths [NUM] . [SEP]

A tokenizer of a base gets the tokens that it lacks: T5's has no class token. One for a new network
is learned from the training texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from crystext.text.descriptions import ANGLE_TOKEN, LENGTH_TOKEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, UNKNOWN, CLASS, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


def add_missing_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer a class token and tokens for lengths and angles, if it has none."""
    from tokenizers import AddedToken

    if tokenizer.cls_token_id is None:
        tokenizer.add_special_tokens({"cls_token": CLASS})
    # As they are, also where a tokenizer lowers all letters.
    marks = [AddedToken(name, normalized=False) for name in (LENGTH_TOKEN, ANGLE_TOKEN)]
    tokenizer.add_tokens(marks)


def learn_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer, learned from texts; digits are single tokens.

    Args:
        texts: as they are read later.
        size: number of tokens at most; few texts give fewer, and 262 are always there.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, UNKNOWN, CLASS, END, LENGTH_TOKEN, ANGLE_TOKEN]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLASS} $A {END}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (CLASS, END)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=CLASS,
        sep_token=END,
        eos_token=END,
        clean_up_tokenization_spaces=False,
    )


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
