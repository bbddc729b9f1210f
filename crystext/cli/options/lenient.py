"""The option --lenient, and what is told of structures that are read with a note."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

Lenient = Annotated[
    bool,
    typer.Option(
        "--lenient",
        help="Read files that contradict themselves where one reading exists, with a note, instead "
        "of refusing them.",
    ),
]

SHOWN = 5
"""Structures that are named for one note, where notes are counted."""


def tell_notes(noted: Iterable[tuple[str, tuple[str, ...]]]) -> None:
    """Print the notes of named structures on standard error, one line for each note.

    Args:
        noted: the name and the notes of each structure.
    """
    names: dict[str, list[str]] = {}
    for name, notes in noted:
        for note in notes:
            names.setdefault(note, []).append(name)
    for note, those in names.items():
        more = f" and {len(those) - SHOWN:,} more" if len(those) > SHOWN else ""
        typer.echo(f"crystext: {', '.join(those[:SHOWN])}{more}: note: {note}", err=True)
