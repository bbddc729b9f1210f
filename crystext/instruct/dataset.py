"""Read a set of instructions that `build` wrote, or one of its files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crystext.benchmark.questions import Question
from crystext.errors import InputError, describe_error
from crystext.instruct.base import COMPLETION
from crystext.instruct.build import FORMAT, MANIFEST_FILE
from crystext.tasks.chat_prompt import ChatPrompt, Message

_FIELDS: Mapping[str, type] = {"id": str, "task": str, "material": str, "context": dict}
"""Fields of a line, besides `reference`, which may be anything, and the words."""


class Line(NamedTuple):
    """A question as a file holds it."""

    material: str
    question: Question
    """Its context holds the right answer as a text."""


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the questions of a file, one line after another, in either layout.

    Raises:
        InputError: the file cannot be read, or a line is no question.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    yield _line(json.loads(text))
                except (ValueError, TypeError, KeyError, RecursionError):
                    raise InputError(
                        f"{path}, line {number:,} is no question; expected what crystext instruct "
                        f"build writes: {', '.join(_FIELDS)}, reference, and messages or a prompt "
                        "with its completion"
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {describe_error(error, 'it is broken')}; expected questions "
            "of crystext instruct build"
        ) from None


def _line(values: Mapping[str, Any]) -> Line:
    """Return a line's question; raises ValueError, TypeError or KeyError for anything else."""
    for name, kind in _FIELDS.items():
        if not isinstance(values[name], kind):
            raise ValueError(name)
    if "messages" in values:
        turns = [Message(str(x["role"]), str(x["content"])) for x in values["messages"]]
        *asked, answer = turns
        if answer.role != "assistant" or not asked:
            raise ValueError("messages")
        prompt, completion = ChatPrompt(tuple(asked)), answer.content
    else:
        system, completion = str(values.get("system") or ""), str(values["completion"])
        prompt = ChatPrompt.of_question(str(values["prompt"]), system)
    context = {**values["context"], COMPLETION: completion}
    return Line(
        values["material"],
        Question(values["id"], values["task"], prompt, values["reference"], context),
    )


def question_file(data: Path, part: str = "test") -> Path:
    """Return the file of a part of a set of instructions; a file itself.

    Raises:
        InputError: there is none.
    """
    if not data.exists():
        raise InputError(f"no file or folder {data}; expected what crystext instruct build writes")
    if data.is_file():
        return data
    path = data / f"{part}.jsonl"
    if not path.is_file():
        there = ", ".join(sorted(x.name for x in data.glob("*.jsonl"))) or "none"
        raise InputError(
            f"{data} has no {path.name}, and questions to ask are of the part {part}; files that "
            f"it has: {there}. Give one of them, or build with --split"
        )
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a set of instructions.

    Raises:
        InputError: there is none, or a newer version wrote it.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {describe_error(error, 'it is not JSON')}; expected the folder"
            " of crystext instruct build"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} is not a manifest of this version; build the set again with crystext instruct "
            "build"
        )
    return manifest
