"""Convert examples to token ids and labels.

A model continues from a prompt's last token, so a completion is tokenized as the middle of a text:
the space that SentencePiece tokenizers put before a text is not part of the crystal. The prompt is
tokenized separately, as in sampling, where nothing follows it yet. Texts are data: `</s>` in a text
is four characters, not the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crystext.tasks.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crystext.tokenization.plain_tokenizer import PlainTokenizer

    AnyTokenizer: TypeAlias = PreTrainedTokenizerBase | PlainTokenizer

IGNORED_LABEL = -100
"""Label of a token without loss, as in transformers and torch."""

_ANCHOR_TEXTS = ("\n", "Q", "0")
"""Anchors before a completion: at least one of them never merges with the text after it."""


def prompt_ids(tokenizer: AnyTokenizer, prompt: str) -> list[int]:
    """Return the ids of a prompt, as used before a completion in training and sampling."""
    return _bos_ids(tokenizer) + _without_special_tokens(
        tokenizer, prompt, _tokenize_at_start(tokenizer, prompt)
    )


def completion_ids(tokenizer: AnyTokenizer, completion: str) -> list[int]:
    """Return the ids of a completion as used after a prompt, without the end token."""
    return _without_special_tokens(
        tokenizer, completion, _tokenize_all_after_prompt(tokenizer, [completion])[0]
    )


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """Return the text of each token in the middle of a text; special tokens have none."""
    # After another token, since some tokenizers drop a space at the start of a text.
    anchor: list[int] = _tokenize_at_start(tokenizer, "0")[-1:]
    before, *texts = tokenizer.batch_decode(
        [anchor, *([*anchor, i] for i in ids)],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    return [text.removeprefix(before) for text in texts]


def example_ids(
    tokenizer: AnyTokenizer, example: Example, loss_on_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of an example and its labels, of the same length.

    The completion ends with the end-of-sequence token, which has a loss. Labels are not shifted;
    the model shifts them.
    """
    return examples_ids(tokenizer, [example], loss_on_prompt)[0]


def examples_ids(
    tokenizer: AnyTokenizer, examples: Sequence[Example], loss_on_prompt: bool = False
) -> list[tuple[list[int], list[int]]]:
    """Return `example_ids` of many examples at once, in a fraction of the time."""
    start, end = _bos_ids(tokenizer), tokenizer.eos_token_id
    prompts = [example.prompt for example in examples]
    completions = [example.completion for example in examples]
    rows = []
    for example, given, wanted in zip(
        examples,
        _tokenize_all_at_start(tokenizer, prompts),
        _tokenize_all_after_prompt(tokenizer, completions),
        strict=True,
    ):
        ids = start + _without_special_tokens(tokenizer, example.prompt, given)
        labels = ids if loss_on_prompt else [IGNORED_LABEL] * len(ids)
        answer = _without_special_tokens(tokenizer, example.completion, wanted)
        if example.further_questions:
            rows.append(_rows_of_questions(tokenizer, example, ids, labels, answer))
        else:
            tail = [*answer, end]
            rows.append((ids + tail, labels + tail))
    return rows


def _rows_of_questions(
    tokenizer: AnyTokenizer,
    example: Example,
    ids: list[int],
    labels: list[int],
    answer: list[int],
) -> tuple[list[int], list[int]]:
    """Return the ids and labels of an example with further questions.

    Where a question ends, the label is its answer, but the next id begins the next question.
    """
    for text, next_answer in example.further_questions:
        asked = completion_ids(tokenizer, text)
        ids = [*ids, *asked]
        labels = [*labels, *_single(answer), *([IGNORED_LABEL] * (len(asked) - 1))]
        answer = completion_ids(tokenizer, next_answer)
    return [*ids, tokenizer.eos_token_id], labels + _single(answer)


def _single(answer: list[int]) -> list[int]:
    assert len(answer) == 1, "answers to several questions are single tokens"
    return answer


def pad_rows(
    rows: Sequence[tuple[list[int], list[int]]], pad_id: int, multiple: int = 8
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pad rows of (ids, labels) on the right to two arrays (B, T), T a multiple of `multiple`.

    Padding comes after all tokens with loss, so a causal model needs no mask for it.
    """
    width = -(-max(len(ids) for ids, _ in rows) // multiple) * multiple
    ids_B_T = np.full((len(rows), width), pad_id, dtype=np.int64)
    labels_B_T = np.full((len(rows), width), IGNORED_LABEL, dtype=np.int64)
    for i, (ids, labels) in enumerate(rows):
        ids_B_T[i, : len(ids)] = ids
        labels_B_T[i, : len(labels)] = labels
    return ids_B_T, labels_B_T


@dataclass(frozen=True)
class _TokenizerTraits:
    """How a tokenizer treats texts."""

    special: frozenset[int]
    """Ids that must not occur in a text."""
    adds_no_prefix: bool
    """Whether the start of a text is tokenized as in the middle of another text."""


_traits_cache: WeakKeyDictionary[AnyTokenizer, _TokenizerTraits] = WeakKeyDictionary()


def _tokenizer_traits(tokenizer: AnyTokenizer) -> _TokenizerTraits:
    if (ways := _traits_cache.get(tokenizer)) is None:
        added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        # Text without a token becomes this one, which is harmless.
        special = {*tokenizer.all_special_ids, *added} - {tokenizer.unk_token_id}
        ways = _traits_cache[tokenizer] = _TokenizerTraits(
            special=frozenset(special),
            adds_no_prefix=all(
                _tokenize_at_start(tokenizer, text) == _tokenize_after_anchor(tokenizer, text)
                for text in ("5", "N")
            ),
        )
    return ways


def _without_special_tokens(tokenizer: AnyTokenizer, text: str, ids: list[int]) -> list[int]:
    """Return the ids of a text; if they contain a special token, other ids of it without one."""
    if _tokenizer_traits(tokenizer).special.isdisjoint(ids):
        return ids
    # Some vocabularies contain the names of special tokens as words, too; no single character is
    # such a name.
    return [i for character in text for i in _tokenize_after_anchor(tokenizer, character)]


def _tokenize_after_anchor(tokenizer: AnyTokenizer, text: str) -> list[int]:
    for anchor in _ANCHOR_TEXTS:
        before, ids = (
            _tokenize_at_start(tokenizer, anchor),
            _tokenize_at_start(tokenizer, anchor + text),
        )
        if ids[: len(before)] == before:
            return ids[len(before) :]
    return _tokenize_at_start(tokenizer, text)


def _bos_ids(tokenizer: AnyTokenizer) -> list[int]:
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def _tokenize_all_after_prompt(tokenizer: AnyTokenizer, texts: Sequence[str]) -> list[list[int]]:
    if _tokenizer_traits(tokenizer).adds_no_prefix:
        return _tokenize_all_at_start(tokenizer, texts)
    return [_tokenize_after_anchor(tokenizer, text) for text in texts]


def _tokenize_at_start(tokenizer: AnyTokenizer, text: str) -> list[int]:
    return _tokenize_all_at_start(tokenizer, [text])[0]


def _tokenize_all_at_start(tokenizer: AnyTokenizer, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    cut = tokenizer(
        list(texts),
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    ids: list[list[int]] = cut["input_ids"]
    return ids
