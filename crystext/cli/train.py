"""`crystext train`: a model from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.listing import RecipeCommand


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A YAML file, or the name of a shipped recipe (listed below).", show_default=False
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Settings that override the recipe's, such as optim.steps=100, which replaces "
            "the recipe's epochs; data=STORE is the training data.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the run; the model is written to OUT/model.")
    ] = Path("training"),
) -> None:
    """Train a model; the same command continues a run that was interrupted.

    It continues from the last checkpoint (every checkpoint_every steps); before the first, it
    starts again. STORE is a folder written by `crystext data prepare` from your crystals, a corpus
    of `crystext corpus build`, or conversations of `crystext instruct build`. On several processes,
    GPUs or machines: accelerate launch -m crystext train ...
    """
    from crystext.training.recipe import load_recipe

    settings = load_recipe(recipe, overrides or [])
    from rich.console import Console

    from crystext.training.trainer import Trainer

    trainer = Trainer(settings, out)
    trainer.run(Console(stderr=True))
    if trainer.accelerator.is_main_process:
        model = out / "model"
        if losses := trainer.summary():
            typer.echo(losses)
        typer.echo(f"the model is in {model}, its losses are plotted in {out / 'loss.png'}")
        if settings.properties is not None:
            typer.echo(f"to predict with it: crystext predict SOURCE --model {model}")
        if settings.text_task is not None:
            typer.echo(f"to ask it: crystext chat {model} QUESTION")
        if settings.generates:
            typer.echo(
                f"to sample from it: crystext sample --model {model} --n 100 --out {out}/samples"
            )


COMMAND = Command(train, "Train or fine-tune a model from a recipe.", cls=RecipeCommand)
