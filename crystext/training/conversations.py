"""Conversations that a model learns to answer: files in chat form, a conversation a line.

    DIR/train.jsonl
    DIR/validation.jsonl        {"task": "space_group", "messages": [{"role": "user",
    DIR/test.jsonl                "content": "..."}, {"role": "assistant", "content": "Fm-3m"}]}

This is what `crystext instruct build` writes, and what most chat data sets are. `task` may be left
out; with it, validation has a loss of each task. Test conversations are never read in training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import InputError, describe_error
from crystext.tasks.chat_prompt import Message

FILES = {"train": "train.jsonl", "validation": "validation.jsonl"}
"""Name of the file of each split that training reads."""

ROLES = ("system", "user", "assistant")

DEFAULT_TASK = "conversation"
"""What a conversation without a task counts as."""


@dataclass(frozen=True)
class Conversation:
    """The turns of a conversation, in order."""

    messages: tuple[Message, ...]
    task: str = DEFAULT_TASK


def is_conversations(folder: Path) -> bool:
    """Return whether a folder holds conversations."""
    return (folder / FILES["train"]).is_file()


def read_conversations(path: Path) -> list[Conversation]:
    """Return the conversations of a file.

    Raises:
        InputError: the file cannot be read, holds none, or has a line that is no conversation with
            an answer; the message names the line.
    """
    found = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    found.append(_parse(line, f"{path}, line {number:,}"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {describe_error(error, 'no UTF-8')}") from None
    if not found:
        raise InputError(f"{path} holds no conversation; expected one or more")
    return found


def _parse(line: str, place: str) -> Conversation:
    try:
        content = json.loads(line)
        turns = tuple(_message(turn) for turn in content["messages"])
        task = content.get("task", DEFAULT_TASK)
        if not isinstance(task, str):
            raise ValueError("task is no text")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(
            f'{place} is no conversation; expected {{"messages": [{{"role": "user", "content": '
            f'"..."}}, {{"role": "assistant", "content": "..."}}]}}, with the roles '
            f"{', '.join(ROLES)}"
        ) from None
    if not any(turn.role == "assistant" for turn in turns):
        raise InputError(f"{place} has no turn of the assistant, from which a model could learn")
    return Conversation(turns, task)


def _message(turn: Any) -> Message:
    role, content = turn["role"], turn["content"]
    if role not in ROLES or not isinstance(content, str):
        raise ValueError("no turn")
    return Message(role, content)
