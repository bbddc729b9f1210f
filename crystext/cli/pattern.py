"""`crystext pattern`: a regular expression of crystal texts, for guided decoding elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from crystext.cli.command import Command


def pattern(
    format: Annotated[
        str, typer.Option(help="Text format: plain, gruver2024 or gruver2024-rounded.")
    ] = "plain",
    max_atoms: Annotated[int, typer.Option(help="Maximum number of atoms in the cell.")] = 20,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="ELEMENTS", help="Elements that may occur, such as Li,O.", show_default="all"
        ),
    ] = None,
) -> None:
    """Print a regular expression that the whole text of a crystal matches.

    Engines with guided decoding, such as vLLM, take it to restrict a model to texts that can be
    decoded. Constraints on the whole text, such as interatomic distances, are enforced by `crystext
    sample` only.
    """
    from crystext.chemistry.elements import SYMBOLS
    from crystext.text.regex import text_pattern

    elements = SYMBOLS if only is None else only.replace(",", " ").split()
    typer.echo(text_pattern(format, max_atoms=max_atoms, elements=elements))


COMMAND = Command(pattern, "Print a regular expression for guided decoding.")
