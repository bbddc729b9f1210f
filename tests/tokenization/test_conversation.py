"""Conversations as tokens: what a model sees, and what it learns."""

from __future__ import annotations

import pytest

from crystext.errors import InputError
from crystext.tasks.chat_prompt import Message
from crystext.tokenization.conversation import (
    CHAT_TEMPLATE,
    conversation_tokens,
    render_conversation,
)
from crystext.tokenization.encode import IGNORED_LABEL
from tests.llm_tokenizers import plain_characters

TURNS = (
    Message("system", "Answer in a word."),
    Message("user", "Which element?"),
    Message("assistant", "Na"),
    Message("user", "And the other?"),
    Message("assistant", "Cl"),
)
TEMPLATES = {
    "own": CHAT_TEMPLATE,
    "ends turns by another token": (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    ),
    "has no system role": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    )
    + CHAT_TEMPLATE,
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_only_the_answers_and_their_ends_are_learned(template: str) -> None:
    tokenizer = plain_characters()
    tokenizer.chat_template = template
    ids, labels = conversation_tokens(tokenizer, TURNS)
    assert [i for i, label in zip(ids, labels, strict=True) if label != i] == [
        i for i, label in zip(ids, labels, strict=True) if label == IGNORED_LABEL
    ]
    learned = tokenizer.decode([label for label in labels if label != IGNORED_LABEL])
    assert learned.replace("<|end|>\n", "") == "Na</s>Cl</s>"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_model_is_asked_with_the_tokens_it_was_trained_on(template: str) -> None:
    tokenizer = plain_characters()
    tokenizer.chat_template = template
    ids, labels = conversation_tokens(tokenizer, TURNS[:3])
    asked = tokenizer(
        render_conversation(tokenizer, TURNS[:2], asks=True), add_special_tokens=False
    )["input_ids"]
    assert ids[: len(asked)] == asked
    assert set(labels[: len(asked)]) == {IGNORED_LABEL}
    assert labels[len(asked)] == ids[len(asked)]


def test_a_conversation_without_an_answer_is_refused() -> None:
    tokenizer = plain_characters()
    tokenizer.chat_template = CHAT_TEMPLATE
    with pytest.raises(InputError, match="assistant"):
        conversation_tokens(tokenizer, TURNS[:2])


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    tokenizer = plain_characters()
    tokenizer.chat_template = "{{ messages | length }}: {{ messages[-1]['content'] }}"
    with pytest.raises(InputError, match="template"):
        conversation_tokens(tokenizer, TURNS)
