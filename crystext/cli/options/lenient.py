"""The option --lenient, and the notes on structures that were read with one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

Lenient = Annotated[
    bool,
    typer.Option(
        "--lenient",
        help="Read files that contradict themselves if one interpretation exists, and print a "
        "note, instead of rejecting them.",
    ),
]

MAX_NAMED_STRUCTURES = 5
"""Number of structures that are named for each note."""


def print_notes(named_notes: Iterable[tuple[str, tuple[str, ...]]]) -> None:
    """Print the notes of named structures on standard error, one line for each note.

    Args:
        named_notes: the name and the notes of each structure.
    """
    names: dict[str, list[str]] = {}
    for name, notes in named_notes:
        for note in notes:
            names.setdefault(note, []).append(name)
    for note, those in names.items():
        more = (
            f" and {len(those) - MAX_NAMED_STRUCTURES:,} more"
            if len(those) > MAX_NAMED_STRUCTURES
            else ""
        )
        typer.echo(
            f"crystext: {', '.join(those[:MAX_NAMED_STRUCTURES])}{more}: note: {note}", err=True
        )
