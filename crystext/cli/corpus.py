"""`crystext corpus`: build corpora for continued pretraining, and show what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.listing import CorpusRecipeCommand


def build(
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
            help="Settings that override the recipe's, such as tokens=1000000 or "
            "sources.papers.jsonl=papers/.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the corpus.")] = Path("corpus"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one a processor")
    ] = None,
) -> None:
    """Tokenize, mix and pack papers, text and crystals to a corpus for training.

    Sources are JSON lines, text files, and crystals that `crystext data prepare` reads, written as
    CIF, in a text format or in words. They are mixed in a ratio of tokens, and repeated documents
    and crystals are left out. The same command continues a build that was interrupted.
    """
    from crystext.corpus.build import build_corpus
    from crystext.corpus.manifest import summary
    from crystext.corpus.recipe import load_corpus_recipe

    settings = load_corpus_recipe(recipe, overrides or [])
    typer.echo(summary(build_corpus(settings, out, workers=workers, progress=True)))


def show(
    folder: Annotated[Path, typer.Argument(help="A corpus.", show_default=False)],
    block: Annotated[
        int | None,
        typer.Option(min=0, help="Show the text of this block of the training part, too."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare all files with their checksums.")
    ] = False,
) -> None:
    """Show what a corpus holds: tokens of each source and stage, and what was left out."""
    from crystext.corpus.manifest import summary
    from crystext.corpus.packed import PackedCorpus
    from crystext.corpus.tokenizer import block_text
    from crystext.errors import SettingError
    from crystext.runtime.wording import format_count

    corpus = PackedCorpus.open(folder)
    if verify:
        corpus.verify()
    typer.echo(summary(corpus))
    if block is not None:
        if block >= len(corpus.train):
            raise SettingError(
                f"--block is {block}, and {folder} has {format_count(len(corpus.train), 'block')}, "
                "from 0"
            )
        typer.echo(block_text(corpus, corpus.train.block(block)))


COMMAND = Command(
    None,
    "Build corpora of papers, text and crystals.",
    commands={
        "build": Command(build, "Build a corpus from a recipe.", cls=CorpusRecipeCommand),
        "show": Command(show, "Show what a corpus holds."),
    },
)
