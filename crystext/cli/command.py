"""What a command is: a function, a summary, and perhaps commands below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """A subcommand of `crystext`.

    A command is one file with a `Command` and one line in `commands.COMMANDS`; a plugin names its
    own by an entry point of the group `crystext.commands`.
    """

    function: Callable[..., Any] | None
    """Typer makes options and arguments of its annotated parameters. It imports what is heavy when
    it runs, or `crystext --help` waits for it. None for a group of commands."""
    summary: str
    """At most 62 characters, for `crystext --help`."""
    cls: type[Any] | None = None
    """A subclass of `typer.core.TyperCommand`, for a help text of its own."""
    commands: Mapping[str, Command] = field(default_factory=dict)
    """The commands of a group, by name."""
