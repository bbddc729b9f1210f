"""Read a set of instructions that `build` wrote, or one of its files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crystext.benchmark.questions import Question
from crystext.errors import InputError, describe_error
from crystext.instruct.base import COMPLETION
from crystext.instruct.build import CHAT_FOLDER, FORMAT, MANIFEST_FILE
from crystext.tasks.chat_prompt import ChatPrompt

_FIELDS: Mapping[str, type] = {
    "id": str, "task": str, "material": str, "prompt": str, "completion": str, "context": dict,
}  # fmt: skip
"""Fields of a line, besides `reference`, which may be anything, and `system`."""


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the questions of a file, one line after another.

    Raises:
        InputError: the file cannot be read, or a line is no question.
    """
    expected = f"expected a question of crystext instruct build, with {', '.join(_FIELDS)}"
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    line = None
                if not isinstance(line, dict) or not _is_question(line):
                    hint = (
                        f"; the folder {CHAT_FOLDER} is for training, give the file beside it"
                        if isinstance(line, dict) and "messages" in line
                        else ""
                    )
                    raise InputError(f"{path}, line {number} is no question; {expected}{hint}")
                yield line
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {describe_error(error, 'it is broken')}; {expected}"
        ) from None


def _is_question(line: Mapping[str, Any]) -> bool:
    return "reference" in line and all(isinstance(line.get(x), y) for x, y in _FIELDS.items())


def question_of(line: Mapping[str, Any]) -> Question:
    """Return the question of a line; its context holds the right answer as a text."""
    return Question(
        line["id"],
        line["task"],
        ChatPrompt.of_question(line["prompt"], line.get("system") or ""),
        line["reference"],
        {**line["context"], COMPLETION: line["completion"]},
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
