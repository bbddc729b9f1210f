"""`crystext view`: a picture of crystals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    source: Annotated[
        Path, typer.Argument(help="A run directory, or any source of crystals.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = Path(
        "crystals.png"
    ),
    n: Annotated[int, typer.Option("--n", "-n", help="How many crystals.", min=1)] = 12,
    first: Annotated[int, typer.Option(help="How many crystals to pass over before.", min=0)] = 0,
    columns: Annotated[int, typer.Option(help="Crystals in a row.", min=1)] = 4,
) -> None:
    """Draw crystals side by side, each with its formula and space group."""
    from itertools import islice

    from crystext.errors import InputError
    from crystext.read import read_crystals
    from crystext.view import draw_crystals

    found = (item.crystal for item in read_crystals(source))
    crystals = list(islice((c for c in found if c is not None), first, first + n))
    if not crystals:
        raise InputError(f"{source} has no crystal behind the first {first}; try a smaller --first")
    draw_crystals(crystals, out, columns=columns)
    typer.echo(f"{len(crystals)} crystals in {out}")
