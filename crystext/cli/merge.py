"""`crystext merge`: an adapter and its base as one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.command import Command


def merge(
    adapter: Annotated[
        str,
        typer.Argument(
            help="Folder that training wrote, or OWNER/NAME on the Hub.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Model folder to write.", show_default=False)],
) -> None:
    """Merge an adapter into its base model and write a self-contained model folder."""
    from crystext.models.merge import merge_adapter

    merge_adapter(adapter, out)
    typer.echo(f"the model is in {out}")


COMMAND = Command(merge, "Merge an adapter into its base model.")
