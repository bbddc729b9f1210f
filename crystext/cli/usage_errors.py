"""Usage errors of the command line: one message, in plain words."""

from __future__ import annotations

import re
from typing import Any

import typer

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What Typer raises for an unknown option or command, or an invalid value."""

_PLAIN_PHRASES = (
    (r"Invalid value for '([^']*)'(?: / '[^']*')*: ", r"\1: "),
    (r"Value error, ", ""),
    (r"Input should be a valid integer\b[^.]*", "expected a whole number"),
    (r"Input should be a valid number\b[^.]*", "expected a number"),
    (r"Input should be greater than or equal to (\S+)", r"expected \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"expected \1 or less"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)", r"there is no place for '\1'"),
    (r"Missing (option|argument) '([^']*)'", r"\2 is missing"),
)
"""Phrases of Typer and of pydantic, which parses values for it, and their replacements."""


def usage_message(error: Any) -> str:
    """Return the message of a `UsageError`, or the help text of a command without arguments."""
    from crystext.errors import did_you_mean

    text = str(error.format_message()).strip()
    if text.startswith("Usage:"):
        return text
    for phrase, plain in _PLAIN_PHRASES:
        text = re.sub(phrase, plain, text)
    if choice := re.search(r"'([^']*)' is not one of (.*?)\.?$", text):
        text = text.rstrip(".") + "." + did_you_mean(choice[1], re.findall(r"'([^']*)'", choice[2]))
    command = getattr(error.ctx, "command_path", "crystext")
    end = "" if text.endswith((".", "?")) else "."
    return f"{text}{end} See {command} --help"
