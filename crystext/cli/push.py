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
        str, typer.Argument(metavar="OWNER/NAME", help="Its name there.", show_default=False)
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Let the owner alone see it, if it is new.")
    ] = False,
) -> None:
    """Send a model to the Hugging Face Hub, with a card that says what it is."""
    from crystext.models.push import push_model

    typer.echo(f"the model is at {push_model(folder, repo_id, private=private)}")


COMMAND = Command(push, "Upload a model to the Hugging Face Hub.")
