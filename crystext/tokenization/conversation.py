"""Conversations as tokens: turns in a model's chat template, and which tokens are learned.

A model learns its own turns alone. What comes before a turn is tokenized as it is when the model is
asked, so that training and answering see the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from crystext.errors import InputError, ModelError, describe_error
from crystext.tokenization.encode import IGNORED_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crystext.tasks.chat_prompt import Message

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '[' + message['role'] + ']\n' + message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]\n' }}{% endif %}"
)
"""The template of models that are trained on conversations and have none of their own."""

_ASSISTANT = "assistant"


class ConversationTokens(NamedTuple):
    """A conversation as a model reads it."""

    ids: list[int]
    labels: list[int]
    """Of the same length, not shifted: the ids of the model's own turns, `IGNORED_LABEL` else."""


def render_conversation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, asks: bool
) -> str:
    """Return a conversation in the tokenizer's chat template.

    Some templates have no system role: its words then begin the first question.

    Args:
        tokenizer: one with a chat template.
        messages: the turns.
        asks: whether the model's next turn follows.

    Raises:
        ModelError: the template refuses the conversation, or is damaged.
    """
    from jinja2 import TemplateError

    def render(turns: Sequence[Message]) -> str:
        conversation = [turn._asdict() for turn in turns]
        return str(
            tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=asks)
        )

    try:
        try:
            return render(messages)
        except TemplateError:
            if messages[0].role != "system" or len(messages) < 2:
                raise
            # Some templates have no system role: its words begin the first question.
            system, first, *others = messages
            first = first._replace(content=f"{system.content}\n\n{first.content}")
            return render([first, *others])
    except TemplateError as error:
        reason = describe_error(error, "it is damaged")
        raise ModelError(
            f"the model's chat template cannot write this conversation: {reason}"
        ) from None


def conversation_tokens(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]
) -> ConversationTokens:
    """Return the tokens of a conversation, of which the model's own turns are learned.

    Each of these turns ends with the end-of-sequence token, whatever the template puts there, so
    that the model learns to stop.

    Raises:
        InputError: no turn is the assistant's, or the template does not write a longer conversation
            as a continuation of a shorter one.
    """
    ids: list[int] = []
    labels: list[int] = []
    done = ""
    end = int(tokenizer.eos_token_id)
    for i, message in enumerate(messages):
        if message.role != _ASSISTANT:
            continue
        asked = render_conversation(tokenizer, messages[:i], asks=True)
        answered = render_conversation(tokenizer, messages[: i + 1], asks=False)
        if not (asked.startswith(done) and answered.startswith(asked)):
            raise InputError(
                "the tokenizer's chat template writes a conversation differently when a turn is "
                "added; expected one that only appends"
            )
        question = _token_ids(tokenizer, asked[len(done) :])
        answer = _token_ids(tokenizer, answered[len(asked) :])
        if end not in answer:
            answer = [*answer, end]
        ids += question + answer
        labels += [IGNORED_LABEL] * len(question) + answer
        done = answered
    if not ids:
        raise InputError(f"the conversation has no turn of the role {_ASSISTANT!r}")
    return ConversationTokens(ids, labels)


def _token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # The template writes all control tokens itself.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
