"""`crystext encode`: crystals from files to text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import print_left_out
from crystext.cli.options.lenient import Lenient

if TYPE_CHECKING:
    from crystext.structures.record import Record
    from crystext.text import Format


def encode(
    source: Annotated[
        Path,
        typer.Argument(
            help="A CIF, POSCAR, extxyz, ...; a folder, a zip, or a csv, parquet or json table; or "
            "a run of `crystext sample`.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            help="Format of the text: plain, gruver2024, gruver2024-rounded; or wyckoff, which "
            "writes a crystal as its space group and orbits."
        ),
    ] = "plain",
    translate: Annotated[
        bool, typer.Option("--translate", help="Shift all atoms by a random vector.")
    ] = False,
    permute: Annotated[
        bool, typer.Option("--permute", help="Shuffle the atoms of each element.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --translate and --permute.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line: name, text, notes.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write instead of standard output.", show_default=False),
    ] = None,
    lenient: Lenient = False,
) -> None:
    """Print crystals as text, several separated by a blank line.

    Notes on assumptions made while reading go to standard error, and so do structures that cannot
    be read or written, with their number. They are left out; the exit status is 0 if any crystal is
    written, else 2.
    """
    from crystext.io.read import read_crystals
    from crystext.runtime.files import write_text
    from crystext.text import get_format

    texts = _encode_items(
        read_crystals(source, lenient=lenient), get_format(format), translate, permute, seed
    )
    if as_json:
        parts = (
            json.dumps({"name": item.name, "text": text, "notes": item.notes}, ensure_ascii=False)
            + "\n"
            for item, text in texts
        )
    else:
        parts = (("\n" if i else "") + text + "\n" for i, (_, text) in enumerate(texts))
    if out is not None:
        write_text(out, "".join(parts))
        return
    for part in parts:
        typer.echo(part, nl=False)


def _encode_items(
    items: Iterator[Record],
    fmt: Format,
    translated: bool,
    permuted: bool,
    seed: int,
) -> Iterator[tuple[Record, str]]:
    """Yield crystals and their texts; print notes and messages on standard error."""
    import numpy as np

    from crystext.errors import InputError
    from crystext.structures.augment import permute_within_species, translate
    from crystext.text import encode

    written = unread = refused = 0
    for i, item in enumerate(items):
        if item.crystal is None:
            typer.echo(f"crystext: {item.name}: {item.message}", err=True)
            unread += 1
            continue
        for note in item.notes:
            typer.echo(f"crystext: {item.name}: note: {note}", err=True)
        crystal = item.crystal
        # Each structure has its own random stream: its text does not depend on those before it.
        rng = np.random.default_rng([seed, i])
        if translated:
            crystal = translate(crystal, rng)
        if permuted:
            crystal = permute_within_species(crystal, rng)
        try:
            text = encode(crystal, fmt)
        except InputError as error:
            typer.echo(f"crystext: {item.name}: {error}", err=True)
            refused += 1
            continue
        written += 1
        yield item, text
    if refused and not written:
        raise InputError("no crystal could be written in this format; try another --format")
    if left_out := unread + refused:
        print_left_out(left_out, left_out + written, "structure")


COMMAND = Command(encode, "Write crystals from files as text.")
