from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crystext.codec import PLAIN
from crystext.prompts import load_prompts
from crystext.tasks import TASKS, Example, Record
from crystext.tokens import IGNORED, example_ids, pad, prompt_ids
from crystext.vocabulary import build_tokenizer
from tests.handmade import NACL, WURTZITE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PROMPTS = load_prompts()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(PROMPTS.phrases())


def some_examples() -> list[Example]:
    rng = np.random.default_rng(0)
    record = Record(WURTZITE, {"space_group": 186.0})
    return [task.make(record, PROMPTS, PLAIN, rng) for task in TASKS.values()]


def test_only_the_completion_and_its_end_carry_loss(tokenizer: PreTrainedTokenizerFast) -> None:
    for example in some_examples():
        ids, labels = example_ids(tokenizer, example)
        carrying = [i for i, label in zip(ids, labels, strict=True) if label != IGNORED]
        assert carrying[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(carrying[:-1]) == example.completion
        given = prompt_ids(tokenizer, example.prompt)
        assert ids == given + carrying
        assert labels == [IGNORED] * len(given) + carrying


def test_loss_on_the_prompt_is_an_option(tokenizer: PreTrainedTokenizerFast) -> None:
    for example in some_examples():
        ids, labels = example_ids(tokenizer, example, loss_on_prompt=True)
        assert labels == ids == example_ids(tokenizer, example)[0]


def test_a_prompt_begins_with_the_start_token_where_the_tokenizer_has_one(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids = prompt_ids(tokenizer, "Formula: NaCl\n")
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == "Formula: NaCl\n"
    other = build_tokenizer(PROMPTS.phrases())
    other.bos_token = None
    assert prompt_ids(other, "Formula: NaCl\n") == ids[1:]


def test_prompt_and_completion_are_cut_apart_as_they_would_be_together(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    # Else a model that writes on from a whole text would meet tokens it was not trained on.
    for example in some_examples():
        ids, _ = example_ids(tokenizer, example)
        whole = tokenizer(example.prompt + example.completion, add_special_tokens=False)
        assert ids[1:-1] == whole["input_ids"]


def test_padding_lies_behind_the_rows_and_carries_no_loss(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    rows = [example_ids(tokenizer, example) for example in some_examples()]
    rows.append(example_ids(tokenizer, Example("", NACL.symbols[0])))
    ids_B_T, labels_B_T = pad(rows, pad_id=0)
    assert ids_B_T.shape == labels_B_T.shape
    assert ids_B_T.shape[1] % 8 == 0
    assert ids_B_T.shape[1] - max(len(ids) for ids, _ in rows) < 8
    for i, (ids, labels) in enumerate(rows):
        assert ids_B_T[i].tolist() == ids + [0] * (ids_B_T.shape[1] - len(ids))
        assert labels_B_T[i].tolist() == labels + [IGNORED] * (ids_B_T.shape[1] - len(ids))
