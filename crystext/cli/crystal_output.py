"""Writes the crystals of a run beside its samples, in the formats of other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from crystext.io.write import Layout
    from crystext.structures.crystal import Crystal

FORMAT_NAMES = "cif, poscar, extxyz, parquet, csv or json"

Symmetrized: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--symmetrized",
        help="Write CIFs with symmetry operations: the conventional cell and one atom per orbit, "
        "with its Wyckoff letter. Atoms move by at most 0.1 Å.",
    ),
]
Conventional: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--conventional",
        help="Write the conventional cell with all its atoms instead of the primitive cell.",
    ),
]


def print_left_out(count: int, total: int, noun: str) -> None:
    """Print on standard error how many items of a source a command left out."""
    from crystext.runtime.wording import format_count

    were = "was" if count == 1 else "were"
    typer.echo(f"crystext: {count:,} of {format_count(total, noun)} {were} left out", err=True)


class CrystalFilter(StrEnum):
    """Which crystals of a run are exported."""

    all = "all"
    valid = "valid"
    unique = "unique"
    satisfied = "satisfied"


def export_crystals(
    out: Path, n: int, format: str, keep: CrystalFilter, workers: int, layout: Layout
) -> None:
    """Write selected crystals of the first n samples beside them, named by index and formula."""
    from itertools import islice

    from crystext.generation.run import read_attempts
    from crystext.io.write import write_crystals
    from crystext.metrics.structure_validity import is_structure_valid
    from crystext.metrics.uniqueness import duplicates_of
    from crystext.runtime.wording import format_count
    from crystext.structures.properties import reduced_formula
    from crystext.text import decode

    kept: list[tuple[str, str, Crystal]] = [
        (f"{attempt['index']:06d}-{reduced_formula(crystal.numbers)}", attempt["text"], crystal)
        for attempt in islice(read_attempts(out), n)
        if attempt["failure"] is None and (crystal := decode(attempt["text"]).crystal) is not None
        if keep is not CrystalFilter.satisfied or attempt.get("satisfied")
    ]
    if keep is CrystalFilter.valid:
        kept = [row for row in kept if is_structure_valid(row[2])]
    elif keep is CrystalFilter.unique:
        twins = duplicates_of([crystal for *_, crystal in kept], workers=workers)
        kept = [row for row, twin in zip(kept, twins, strict=True) if twin is None]
    place = crystals_path(out, format)
    remove_exported(place)
    written = write_crystals(
        [(name, crystal) for name, _, crystal in kept],
        place,
        format,
        layout=layout,
        texts=[text for _, text, _ in kept],
        note=print_note,
    )
    typer.echo(f"{format_count(written, 'crystal')} in {place}")


def crystals_path(folder: Path, format: str) -> Path:
    """Return where crystals of a format go in a folder of results."""
    return folder / (format if format in ("cif", "poscar") else f"crystals.{format}")


def print_note(message: str) -> None:
    """Print a note on the results to standard error."""
    typer.echo(f"crystext: {message}", err=True)


def remove_exported(folder: Path) -> None:
    """Remove a folder if it holds only files of an earlier export."""
    import re
    import shutil

    ours = re.compile(r"\d{6,}(-.*)?\.(cif|vasp)")
    if folder.is_dir() and all(ours.fullmatch(path.name) for path in folder.iterdir()):
        shutil.rmtree(folder)
