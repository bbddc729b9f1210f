"""Tokens for further prompts and for answers come after all others, which keep their ids."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from crystext.tasks.base import Example
from crystext.tasks.prompts import load_prompts
from crystext.text import encode
from crystext.tokenization.crystal_vocabulary import (
    build_tokenizer,
    extend_tokenizer,
    is_crystal_vocabulary,
)
from crystext.tokenization.encode import IGNORED_LABEL, example_ids
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.llm_tokenizers import llama_3_like
from tests.strategies import corrupted_texts, texts_of_crystals

PROMPTS = load_prompts()
QUESTIONS = ["Band gap in eV: ", "Metal: "]
ANSWERS = ["-1.234", "0", "0.250", "1.2e-05", "yes", "no"]


@pytest.fixture(scope="module")
def plain() -> PreTrainedTokenizerFast:
    return build_tokenizer(PROMPTS.phrases())


@pytest.fixture(scope="module")
def extended(plain: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    new = [*PROMPTS.prediction_phrases(), *QUESTIONS]
    return extend_tokenizer(plain, PROMPTS.phrases(), new, ANSWERS)


def test_trained_ids_keep_their_meaning(
    plain: PreTrainedTokenizerFast, extended: PreTrainedTokenizerFast
) -> None:
    assert len(extended) > len(plain)
    assert plain.get_vocab().items() <= extended.get_vocab().items()
    for crystal in EXAMPLE_CRYSTALS.values():
        for name in ("plain", "wyckoff"):
            text = encode(crystal, name)
            assert extended(text)["input_ids"] == plain(text)["input_ids"]


@settings(max_examples=100)
@given(text=st.text() | texts_of_crystals | corrupted_texts)
def test_joining_tokens_still_gives_any_text_back(
    extended: PreTrainedTokenizerFast, text: str
) -> None:
    ids = extended(text, add_special_tokens=False)["input_ids"]
    assert extended.decode(ids, skip_special_tokens=False) == text


def test_an_answer_is_one_token_where_one_is_expected(extended: PreTrainedTokenizerFast) -> None:
    prompt = PROMPTS.render("predict", material="Na 0.500\nCl 0.500") + QUESTIONS[0]
    for answer in ANSWERS:
        ids, labels = example_ids(extended, Example(prompt, answer))
        assert [x for x in labels if x != IGNORED_LABEL] == ids[-2:]
        whole = extended(prompt + answer, add_special_tokens=False)["input_ids"]
        assert whole == ids[1:-1]


def test_no_question_sees_an_answer_before_it(extended: PreTrainedTokenizerFast) -> None:
    prompt = PROMPTS.render("predict", material="Na 0.500\nCl 0.500") + QUESTIONS[0]
    example = Example(prompt, "-1.234", further_questions=((QUESTIONS[1], "no"),))
    ids, labels = example_ids(extended, example)
    pieces = extended.convert_ids_to_tokens(ids)
    assert pieces[-3:] == [*QUESTIONS, "</s>"]
    answers = [extended.convert_ids_to_tokens(x) for x in labels if x != IGNORED_LABEL]
    assert answers == ["-1.234", "no"]
    # A label is that of the token before it.
    assert labels[-2:] == [x for x in labels if x != IGNORED_LABEL]


def test_a_vocabulary_of_another_kind_is_told_apart(plain: PreTrainedTokenizerFast) -> None:
    assert is_crystal_vocabulary(plain)
    assert not is_crystal_vocabulary(llama_3_like())
