"""What documents show: their blocks, their commands, and whether a command would be understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from crystext.cli.main import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "MODEL_CARD.md",
    ROOT / "evaluation" / "LEADERBOARD.md",
    ROOT / "evaluation" / "README.md",
    ROOT / "evaluation" / "shipped_model" / "TRAINING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

NEEDS = re.compile(r"#.*\bneeds (.*)$")
"""The comment of a command that this machine may not be able to run, and what it needs."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")


def blocks(text: str, *languages: str) -> list[tuple[str, str]]:
    """Return the language and content of each fenced block of these languages, in order."""
    found = _FENCED.findall(text)
    return [(language, content) for language, content in found if language in languages]


def lines(block: str) -> list[str]:
    """Return the commands of a block, each on one line; a comment may stand behind them."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def statements(block: str) -> list[str]:
    """Return the commands of a block, a here-document with the command that reads it."""
    found: list[str] = []
    end = None
    for line in lines(block):
        if end is not None:
            found[-1] += f"\n{line}"
            end = None if line == end else end
        else:
            found.append(line)
            here = re.search(r"<<'(\w+)'", line)
            end = here[1] if here else None
    return found


def words(command: str) -> list[str]:
    """Split a command as a shell does: quotes, comments, and `|` and `&&` as words."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&")
    lexer.whitespace_split = True
    return list(lexer)


def shown_commands(text: str) -> Iterator[str]:
    """Yield every command of a document: of its blocks, and those within its sentences."""
    for _, content in blocks(text, "sh"):
        yield from lines(content)
    prose = _FENCED.sub("", text)
    for block in _INDENTED.findall(prose):
        yield from lines(re.sub(r"\n {8,}", " ", block))
    for code in _INLINE.findall(_INDENTED.sub("", prose)):
        yield " ".join(code.split())


def calls(command: str) -> Iterator[list[str]]:
    """Yield the arguments of each `crystext` of a command, launched or piped or not."""
    found: list[str] | None = None
    for word in [*words(command), "&&"]:
        if set(word) <= set("|&"):
            if found is not None:
                yield found
            found = None
        elif found is not None:
            found.append(word)
        elif Path(word).name == "crystext":
            found = []


def parsed(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the command that arguments call, and what they give it; nothing is run.

    Raises:
        Exception: of typer, for what the command does not know, or lacks.
    """
    command: Any = typer.main.get_command(app)
    called: list[str] = []
    while hasattr(command, "commands"):
        name, *arguments = arguments
        called.append(name)
        command = command.commands[name]
    return " ".join(called), command.make_context(called[-1], arguments).params
