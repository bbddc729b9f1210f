"""Examples to token ids, and which of the ids carry loss.

A model goes on from a prompt's last token, so a completion is cut as the middle of a text: the
space that SentencePiece's tokenizers put in front of a text would be none of the crystal's. The
prompt is cut by itself, for at sampling nothing follows it yet. Texts are data: `</s>` in one is
four characters, not the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crystext.tasks.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token that carries no loss, as transformers and torch have it."""

_ANCHORS = ("\n", "Q", "0")
"""Texts to cut a completion behind: one of them stays apart from whatever follows."""


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Return the ids of a prompt, as they stand before a completion in training and sampling."""
    return _start(tokenizer) + _harmless(tokenizer, prompt, _cut_at_start(tokenizer, prompt))


def completion_ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Return the ids of a completion as they stand behind a prompt, without the end."""
    return _harmless(tokenizer, completion, _all_behind_a_prompt(tokenizer, [completion])[0])


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """Return what each token adds to a text amid which it stands; special tokens add nothing."""
    # Behind another token, since some tokenizers drop a space at the start of a text.
    anchor: list[int] = _cut_at_start(tokenizer, "0")[-1:]
    before, *texts = tokenizer.batch_decode(
        [anchor, *([*anchor, i] for i in ids)],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    return [text.removeprefix(before) for text in texts]


def example_ids(
    tokenizer: PreTrainedTokenizerBase, example: Example, loss_on_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of an example and its labels, of the same length.

    The completion is closed by the end-of-sequence token, which carries loss. Labels are not
    shifted; the model shifts them.
    """
    return examples_ids(tokenizer, [example], loss_on_prompt)[0]


def examples_ids(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], loss_on_prompt: bool = False
) -> list[tuple[list[int], list[int]]]:
    """Return what `example_ids` does, of many at once, which takes a fraction of the time."""
    start, end = _start(tokenizer), tokenizer.eos_token_id
    prompts = [example.prompt for example in examples]
    completions = [example.completion for example in examples]
    rows = []
    for prompt, completion, given, wanted in zip(
        prompts,
        completions,
        _all_cut_at_start(tokenizer, prompts),
        _all_behind_a_prompt(tokenizer, completions),
        strict=True,
    ):
        ids = start + _harmless(tokenizer, prompt, given)
        labels = ids if loss_on_prompt else [IGNORED] * len(ids)
        tail = [*_harmless(tokenizer, completion, wanted), end]
        rows.append((ids + tail, labels + tail))
    return rows


def pad(
    rows: Sequence[tuple[list[int], list[int]]], pad_id: int, multiple: int = 8
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pad rows of (ids, labels) on the right to two arrays (B, T), T a multiple of `multiple`.

    Padding lies behind everything that carries loss, so a causal model needs no mask for it.
    """
    width = -(-max(len(ids) for ids, _ in rows) // multiple) * multiple
    ids_B_T = np.full((len(rows), width), pad_id, dtype=np.int64)
    labels_B_T = np.full((len(rows), width), IGNORED, dtype=np.int64)
    for i, (ids, labels) in enumerate(rows):
        ids_B_T[i, : len(ids)] = ids
        labels_B_T[i, : len(labels)] = labels
    return ids_B_T, labels_B_T


@dataclass(frozen=True)
class _Ways:
    """How a tokenizer treats texts."""

    special: frozenset[int]
    """Ids that no text may have."""
    begins_bare: bool
    """Whether a text is cut at its start as it would be in the middle of another."""


_known: WeakKeyDictionary[PreTrainedTokenizerBase, _Ways] = WeakKeyDictionary()


def _ways(tokenizer: PreTrainedTokenizerBase) -> _Ways:
    if (ways := _known.get(tokenizer)) is None:
        added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        # What a vocabulary has no token for becomes this one, without harm.
        special = {*tokenizer.all_special_ids, *added} - {tokenizer.unk_token_id}
        ways = _known[tokenizer] = _Ways(
            special=frozenset(special),
            begins_bare=all(
                _cut_at_start(tokenizer, text) == _cut_behind_an_anchor(tokenizer, text)
                for text in ("5", "N")
            ),
        )
    return ways


def _harmless(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> list[int]:
    """Return the ids of a text, or others of it that hold no special token."""
    if _ways(tokenizer).special.isdisjoint(ids):
        return ids
    # Some vocabularies hold the names of special tokens as words, too; no character is such a name.
    return [i for character in text for i in _cut_behind_an_anchor(tokenizer, character)]


def _cut_behind_an_anchor(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    for anchor in _ANCHORS:
        before, ids = _cut_at_start(tokenizer, anchor), _cut_at_start(tokenizer, anchor + text)
        if ids[: len(before)] == before:
            return ids[len(before) :]
    return _cut_at_start(tokenizer, text)


def _start(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def _all_behind_a_prompt(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[list[int]]:
    if _ways(tokenizer).begins_bare:
        return _all_cut_at_start(tokenizer, texts)
    return [_cut_behind_an_anchor(tokenizer, text) for text in texts]


def _cut_at_start(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return _all_cut_at_start(tokenizer, [text])[0]


def _all_cut_at_start(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
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
