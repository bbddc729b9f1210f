"""Examples to token ids, and which of the ids carry loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crystext.tasks.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token that carries no loss, as transformers and torch have it."""


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Return the ids of a prompt, as they stand before a completion in training and sampling."""
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids: list[int] = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return start + ids


def example_ids(
    tokenizer: PreTrainedTokenizerBase, example: Example, loss_on_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of an example and its labels, of the same length.

    The completion is closed by the end-of-sequence token, which carries loss. Labels are not
    shifted; the model shifts them.
    """
    given = prompt_ids(tokenizer, example.prompt)
    wanted = tokenizer(example.completion, add_special_tokens=False)["input_ids"]
    wanted = [*wanted, tokenizer.eos_token_id]
    return given + wanted, (given if loss_on_prompt else [IGNORED] * len(given)) + wanted


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
