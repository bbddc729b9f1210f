"""`crystext train`: a model from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A YAML file, or the name of one of the recipes above.", show_default=False
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Settings that replace the recipe's, such as optim.steps=100; data=STORE is what "
            "to learn from.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the run; the model is written to OUT/model.")
    ] = Path("training"),
) -> None:
    """Train a model; the same command continues a run that was interrupted.

    \b
    Recipes that come with crystext:
      smoke              does training work here? 30 steps on textbook crystals
      finetune-your-own  the shipped model on your crystals (data=STORE), in 4 bits
      finetune-shipped   the same for Perov-5, with figures to compare with
      shipped            a model like the shipped one, from new weights
      llama2-7b          LLaMA 2 7B of the Hub on MP-20, in 4 bits; one GPU
      llama3-8b          LLaMA 3 8B of the Hub on MP-20, in 4 bits; one GPU
      llama2-70b         LLaMA 2 70B of the Hub on MP-20, sharded; several GPUs

    STORE is a folder that `crystext data prepare` made of your crystals. On several processes,
    GPUs or machines: accelerate launch -m crystext train ...
    """  # noqa: D301
    from crystext.config import load_recipe

    settings = load_recipe(recipe, overrides or [])
    from rich.console import Console

    from crystext.training.trainer import Trainer

    trainer = Trainer(settings, out)
    trainer.run(Console(stderr=True))
    if trainer.accelerator.is_main_process:
        model = out / "model"
        if losses := trainer.summary():
            typer.echo(losses)
        typer.echo(f"the model is in {model}, its losses are drawn in {out / 'loss.png'}")
        typer.echo(f"to draw from it: crystext sample --model {model} --n 100 --out {out}/samples")
