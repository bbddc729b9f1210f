"""The option --seed of the commands that draw: a number, or a random one that is recorded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

RANDOM = "random"

RunSeed: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|random",
        help="Random numbers follow from (seed, index). `random` takes a seed that is recorded; an "
        "OUT that holds a run goes on with the seed of the run.",
    ),
]

Seed: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|random",
        help="The same seed draws the same again. `random` takes a seed that is printed.",
    ),
]


def parse_seed(text: str, out: Path | None = None, sharded: bool = False) -> int | None:
    """Return the seed that an option says; None for a random one.

    Args:
        text: a whole number, or `random`.
        out: the run directory; a random seed is that of the run that it holds.
        sharded: whether other processes draw other parts of the run. They could not know a random
            seed, unless the directory holds it already.

    Raises:
        SettingError: it is neither, or a random seed that others could not know.
    """
    from crystext.errors import SettingError, did_you_mean

    word = text.strip()
    if word == RANDOM:
        found = None if out is None else _recorded_seed(out)
        if found is None and sharded:
            raise SettingError(
                "--seed random gives each process that draws a shard another seed; give them all "
                "one number"
            )
        return found
    if not re.fullmatch(r"[-+]?[0-9]{1,30}", word):
        raise SettingError(
            f"--seed is {text!r}; expected a whole number from 0 on, or {RANDOM}."
            + did_you_mean(word, [RANDOM])
        )
    return int(word)


def _recorded_seed(out: Path) -> int | None:
    """Return the seed of the run in a directory; None where there is none to be read."""
    from crystext.generation.run import run_folder

    seed = (run_folder(out).settings() or {}).get("seed")
    return seed if isinstance(seed, int) else None
