"""A command: the number of crystals in a file."""

from pathlib import Path

import typer

from crystext.cli.command import Command


def count(source: Path) -> None:
    """Print how many crystals SOURCE holds.

    Structures that cannot be read are not counted.

    Args:
        source: a file or a folder.

    Raises:
        InputError: nothing in it can be read.
    """
    from crystext.io.read import read_crystals

    typer.echo(sum(item.crystal is not None for item in read_crystals(source)))


COMMAND = Command(count, "Count the crystals of a file.")
