"""`crystext chat`: ask any language model in words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options.decoding import (
    FrequencyPenalty,
    Temperature,
    TopK,
    TopP,
    changed_decoding,
)

if TYPE_CHECKING:
    from crystext.inference.text_models.base import TextModel
    from crystext.tasks.chat_prompt import Message


def chat(
    model: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|OWNER/NAME|URL",
            help="A language model or an adapter, or a service that speaks OpenAI's protocol: "
            "http://HOST/v1#MODEL (the key is read from OPENAI_API_KEY).",
            show_default=False,
        ),
    ],
    question: Annotated[
        str | None,
        typer.Argument(
            help="What to ask.",
            show_default="standard input; at a terminal, a conversation line by line",
        ),
    ] = None,
    system: Annotated[
        str, typer.Option(metavar="TEXT", help="Instructions that come first.", show_default=False)
    ] = "",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    frequency_penalty: FrequencyPenalty = None,
    max_new_tokens: Annotated[int, typer.Option(help="Length of an answer at most.", min=1)] = 512,
    seed: Annotated[int, typer.Option(help="Seed of sampling.", min=0)] = 0,
) -> None:
    """Ask a language model a question in words, and print its answer.

    Without a question, all of standard input is one, such as a CIF with a question behind it. At a
    terminal every line is a question, and the model sees those before; an empty line ends it.
    """
    from crystext.errors import InputError
    from crystext.inference.text_models.base import ChatDecoding
    from crystext.inference.text_models.open import open_text_model
    from crystext.tasks.chat_prompt import Message

    decoding = changed_decoding(
        ChatDecoding(max_new_tokens=max_new_tokens),
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        frequency_penalty=frequency_penalty,
    )
    opened = open_text_model(model, decoding, seed=seed)
    start = [Message("system", system)] if system else []
    if question is None and sys.stdin.isatty():
        _converse(opened, start)
        return
    asked = sys.stdin.read() if question is None else question
    if not asked.strip():
        raise InputError("the question is empty; give it behind the model, or on standard input")
    typer.echo(_answer(opened, [*start, Message("user", asked)]))


def _converse(model: TextModel, messages: list[Message]) -> None:
    """Answer line by line, until one is empty or the input ends."""
    from crystext.tasks.chat_prompt import Message

    while True:
        typer.echo("> ", nl=False)
        line = sys.stdin.readline()
        if not line.strip():
            break
        messages.append(Message("user", line.strip()))
        answer = _answer(model, messages)
        messages.append(Message("assistant", answer))
        typer.echo(answer)


def _answer(model: TextModel, messages: list[Message]) -> str:
    from crystext.errors import InputError
    from crystext.tasks.chat_prompt import ChatPrompt

    [(answer, problem)] = model.answer([ChatPrompt(tuple(messages))])
    if problem:
        raise InputError(f"no answer: {problem}")
    return answer


COMMAND = Command(chat, "Ask a language model in words.")
