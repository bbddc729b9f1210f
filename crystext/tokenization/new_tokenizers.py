"""Tokenizers of new networks: learned from the training texts, or the crystal vocabulary.

    bpe          pairs of bytes: any text, the frequent parts of the training texts as one token
    characters   each character of the training texts; others are unknown
    crystal      the crystal vocabulary: any text, numbers and elements as one token

All put a class token in front of a text and an end-of-text token behind it, and have tokens for
padding, for a masked part of a text, and for lengths and angles. The same texts give the same
tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from crystext.text.descriptions import ANGLE_TOKEN, LENGTH_TOKEN
from crystext.tokenization.crystal_vocabulary import BOS, EOS, build_tokenizer
from crystext.tokenization.encoder_vocabulary import CLASS, add_missing_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TokenizerKind = Literal["bpe", "characters", "crystal"]
"""See above."""

LEAST_BPE_VOCABULARY = 300
"""All bytes, the special tokens, and some pairs."""

_PAD, _UNKNOWN, _END, _MASK = "[PAD]", "[UNK]", "[SEP]", "[MASK]"

_SPECIAL = (_PAD, _UNKNOWN, CLASS, _END, _MASK, LENGTH_TOKEN, ANGLE_TOKEN)


def new_tokenizer(
    texts: Iterable[str], kind: TokenizerKind = "bpe", size: int = 2000
) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a new network.

    Args:
        texts: the training texts, as they are read later; the crystal vocabulary does not read
            them.
        kind: see above.
        size: number of tokens at most: few texts give fewer, and the 263 of bytes and special
            tokens are always there. Of more characters, the frequent ones have a token. The
            crystal vocabulary has its own.
    """
    if kind == "crystal":
        return _crystal_tokenizer()
    return _with_special_tokens(
        _byte_pairs(texts, size) if kind == "bpe" else _single_characters(texts, size)
    )


def _byte_pairs(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # Digits are single tokens.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _single_characters(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    frequent = sorted(counts, key=lambda x: (-counts[x], x))[: size - len(_SPECIAL)]
    vocabulary = {name: i for i, name in enumerate((*_SPECIAL, *sorted(frequent)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _with_special_tokens(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    _put_ends(tokenizer, CLASS, _END)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        cls_token=CLASS,
        bos_token=CLASS,
        sep_token=_END,
        eos_token=_END,
        mask_token=_MASK,
        clean_up_tokenization_spaces=False,
    )
    add_missing_tokens(made)
    return made


def _crystal_tokenizer() -> PreTrainedTokenizerFast:
    made = build_tokenizer()
    made.add_special_tokens({"cls_token": BOS, "sep_token": EOS, "mask_token": _MASK})
    add_missing_tokens(made)
    _put_ends(made.backend_tokenizer, BOS, EOS)
    return made


def _put_ends(tokenizer: Tokenizer, first: str, last: str) -> None:
    """Put a token in front of every text, and one behind it."""
    from tokenizers import processors

    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
