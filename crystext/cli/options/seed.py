"""The option --seed of the commands that sample: a number, or a random one that is recorded."""

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
        help="Random numbers follow from (seed, index). `random` picks a seed and records it; a "
        "run that is resumed in OUT keeps its seed.",
    ),
]

Seed: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|random",
        help="The same seed gives the same samples. `random` picks a seed and prints it.",
    ),
]


def parse_seed(text: str, out: Path | None = None, sharded: bool = False) -> int | None:
    """Return the seed given by the option; None for a random one.

    Args:
        text: a whole number, or `random`.
        out: the run directory; a random seed is that of the run that it holds.
        sharded: whether other processes sample other parts of the run. They cannot know a random
            seed, unless the directory holds it already.

    Raises:
        SettingError: it is neither, or a random seed that the other processes cannot know.
    """
    from crystext.errors import SettingError, did_you_mean

    word = text.strip()
    if word == RANDOM:
        found = None if out is None else _recorded_seed(out)
        if found is None and sharded:
            raise SettingError(
                "--seed random gives each process that samples a shard a different seed; give all "
                "of them the same number"
            )
        return found
    if not re.fullmatch(r"[-+]?[0-9]{1,30}", word):
        raise SettingError(
            f"--seed is {text!r}; expected a whole number from 0 on, or {RANDOM}."
            + did_you_mean(word, [RANDOM])
        )
    return int(word)


def _recorded_seed(out: Path) -> int | None:
    """Return the seed of the run in a directory; None if there is none."""
    from crystext.generation.run import run_folder

    seed = (run_folder(out).settings() or {}).get("seed")
    return seed if isinstance(seed, int) else None
