"""What a command is: a function, a summary, and perhaps commands below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """A subcommand of `crystext`.

    A command is one file with a `Command` and one line in `commands.COMMANDS`; a plugin adds one by
    an entry point of the group `crystext.commands`.
    """

    function: Callable[..., Any] | None
    """Typer turns its annotated parameters into options and arguments. It imports heavy modules
    when it runs, or `crystext --help` waits for them. None for a group of commands."""
    summary: str
    """At most 62 characters, for `crystext --help`."""
    cls: type[Any] | None = None
    """A subclass of `typer.core.TyperCommand`, for a custom help text."""
    commands: Mapping[str, Command] = field(default_factory=dict)
    """The commands of a group, by name."""
