"""`crystext push`: a model to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from crystext.cli.command import Command


def push(
    folder: Annotated[
        str, typer.Argument(help="Folder of a model or of an adapter.", show_default=False)
    ],
    repo_id: Annotated[
        str,
        typer.Argument(
            metavar="OWNER/NAME", help="Name of the repository on the Hub.", show_default=False
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
) -> None:
    """Upload a model to the Hugging Face Hub, with a model card."""
    from crystext.models.push import push_model

    typer.echo(f"the model is at {push_model(folder, repo_id, private=private)}")


COMMAND = Command(push, "Upload a model to the Hugging Face Hub.")
