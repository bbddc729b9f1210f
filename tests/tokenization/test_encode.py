from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.any_tokenizer import TextReader, TokenTrie
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.tasks import TASKS, Example, Record
from crystext.tasks.prompts import load_prompts
from crystext.text import COORDINATE_FORMATS, PLAIN, Format, encode
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.tokenization.encode import (
    IGNORED_LABEL,
    completion_ids,
    example_ids,
    pad_rows,
    prompt_ids,
    token_texts,
)
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, WURTZITE
from tests.llm_tokenizers import MAKERS, llama_2_like_metaspace, words_with_special_names

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PROMPTS = load_prompts()

ALL: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    **MAKERS,
    "llama 2, metaspace": llama_2_like_metaspace,
    "unigram": words_with_special_names,
    "crystal vocabulary": lambda: build_tokenizer(PROMPTS.phrases()),
}


@cache
def tokenizer_named(name: str) -> PreTrainedTokenizerFast:
    return ALL[name]()


each_tokenizer = pytest.mark.parametrize("name", ALL)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(PROMPTS.phrases())


def some_examples() -> list[Example]:
    rng = np.random.default_rng(0)
    record = Record(WURTZITE, {"space_group": 186.0}, "ZnS", to_wyckoff(WURTZITE))
    return [task.make(record, PROMPTS, PLAIN, rng) for task in TASKS.values()]


def test_only_the_completion_and_its_end_carry_loss(tokenizer: PreTrainedTokenizerFast) -> None:
    for example in some_examples():
        ids, labels = example_ids(tokenizer, example)
        carrying = [i for i, label in zip(ids, labels, strict=True) if label != IGNORED_LABEL]
        assert carrying[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(carrying[:-1]) == example.completion
        given = prompt_ids(tokenizer, example.prompt)
        assert ids == given + carrying
        assert labels == [IGNORED_LABEL] * len(given) + carrying


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


@each_tokenizer
def test_prompt_and_completion_are_cut_apart_as_they_would_be_together(name: str) -> None:
    # Else a model that writes on from a whole text would meet tokens it was not trained on.
    tokenizer = tokenizer_named(name)
    for example in some_examples():
        ids, _ = example_ids(tokenizer, example)
        text = example.prompt + example.completion
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids[1:-1] == whole:
            continue
        # One of these vocabularies has tokens that reach over the end of a prompt. At sampling
        # nothing is behind it yet, so that in training it is cut by itself as well.
        assert name == "bytes across fields"
        assert example.prompt not in [tokenizer.decode(whole[:n]) for n in range(len(whole))]
        assert tokenizer.decode(ids[1:-1]) == text


@each_tokenizer
@pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)
def test_the_grammar_allows_what_training_writes(name: str, fmt: Format) -> None:
    tokenizer = tokenizer_named(name)
    tree = TokenTrie(tokenizer)
    for crystal in (EXAMPLE_CRYSTALS["iron"], NACL, WURTZITE):
        # The published format may print a coordinate as 1, which is not written here.
        text = encode(crystal, fmt).replace("1.00", "0.00")
        automaton = CoordinateAutomaton(fmt, 1, Constraints(max_atoms=len(crystal)))
        reader = TextReader.at_start(automaton)
        for token in completion_ids(tokenizer, text):
            assert token in tree.allowed(reader), (text, tokenizer.decode([token]))
            after = reader.read(tree.texts[token])
            assert after is not None
            reader = after
        assert reader.may_end


HOSTILE = ["</s>", "</s>Na", "NaCl</s>\n", "<s><pad>", "＜/s＞", "\n</s>\n", "<0x0A></s>"]


@each_tokenizer
@pytest.mark.parametrize("text", HOSTILE)
def test_the_name_of_a_special_token_in_a_text_is_no_special_token(name: str, text: str) -> None:
    tokenizer = tokenizer_named(name)
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    assert not special & set(prompt_ids(tokenizer, text)[1:])
    assert not special & set(completion_ids(tokenizer, text))
    if text.isascii():
        anchor = prompt_ids(tokenizer, "Q")
        whole, before = (
            tokenizer.decode(ids) for ids in ([*anchor, *completion_ids(tokenizer, text)], anchor)
        )
        assert isinstance(whole, str)
        assert isinstance(before, str)
        assert whole.removeprefix(before) == text


def test_padding_lies_behind_the_rows_and_carries_no_loss(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    rows = [example_ids(tokenizer, example) for example in some_examples()]
    rows.append(example_ids(tokenizer, Example("", NACL.symbols[0])))
    ids_B_T, labels_B_T = pad_rows(rows, pad_id=0)
    assert ids_B_T.shape == labels_B_T.shape
    assert ids_B_T.shape[1] % 8 == 0
    assert ids_B_T.shape[1] - max(len(ids) for ids, _ in rows) < 8
    for i, (ids, labels) in enumerate(rows):
        assert ids_B_T[i].tolist() == ids + [0] * (ids_B_T.shape[1] - len(ids))
        assert labels_B_T[i].tolist() == labels + [IGNORED_LABEL] * (ids_B_T.shape[1] - len(ids))


@each_tokenizer
def test_what_the_tokens_of_a_completion_add_makes_up_the_completion(name: str) -> None:
    tokenizer = tokenizer_named(name)
    for example in some_examples():
        ids = completion_ids(tokenizer, example.completion)
        assert "".join(token_texts(tokenizer, ids)) == example.completion
    assert token_texts(tokenizer, [tokenizer.eos_token_id]) == [""]
