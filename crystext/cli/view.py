"""`crystext view`: a picture of crystals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options.lenient import Lenient, print_notes


def view(
    source: Annotated[
        Path, typer.Argument(help="A run directory, or any source of crystals.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = Path(
        "crystals.png"
    ),
    n: Annotated[int, typer.Option("--n", "-n", help="Number of crystals to draw.", min=1)] = 12,
    first: Annotated[int, typer.Option(help="Number of crystals to skip first.", min=0)] = 0,
    columns: Annotated[int, typer.Option(help="Crystals in a row.", min=1)] = 4,
    lenient: Lenient = False,
) -> None:
    """Draw crystals side by side, each with its formula and space group.

    Structures that cannot be read are left out and named on standard error.
    """
    from crystext.errors import InputError
    from crystext.io.read import read_crystals
    from crystext.io.render import draw_crystals

    passed, drawn = 0, []
    for item in read_crystals(source, lenient=lenient):
        if item.crystal is None:
            typer.echo(f"crystext: {item.name} is left out: {item.message}", err=True)
        elif passed < first:
            passed += 1
        else:
            drawn.append(item)
        if len(drawn) == n:
            break
    crystals = [item.crystal for item in drawn if item.crystal is not None]
    if not crystals:
        raise InputError(f"{source} has no crystal behind the first {first}; try a smaller --first")
    print_notes((item.name, item.notes) for item in drawn)
    draw_crystals(crystals, out, columns=columns)
    typer.echo(f"{len(crystals)} crystal{'s' * (len(crystals) != 1)} in {out}")


COMMAND = Command(view, "Draw a picture of crystals.")
