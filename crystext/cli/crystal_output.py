"""Writes the crystals of a run beside its samples, in the formats of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

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
    out: Path,
    n: int,
    format: str,
    keep: CrystalFilter,
    workers: int,
    layout: Layout,
    best: bool = False,
) -> None:
    """Write selected crystals of the first n samples beside them, named by index and formula.

    Of a run whose `best` samples were kept, write these, the best first, named by their rank, too;
    tables have rank and scores as columns.
    """
    from itertools import islice

    from crystext.generation.run import read_attempts
    from crystext.generation.selected_file import read_selected
    from crystext.io.write import write_crystals
    from crystext.metrics.structure_validity import is_structure_valid
    from crystext.metrics.uniqueness import duplicates_of
    from crystext.runtime.wording import format_count
    from crystext.structures.properties import reduced_formula
    from crystext.text import decode

    attempts = read_selected(out) if best else islice(read_attempts(out), n)
    kept: list[tuple[dict[str, Any], str, Crystal]] = [
        (attempt, attempt["text"], crystal)
        for attempt in (sorted(attempts, key=lambda x: x["rank"]) if best else attempts)
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
    columns = {name: [x.get(name) for x, *_ in kept] for name in _BEST_COLUMNS} if best else {}
    written = write_crystals(
        [
            (_crystal_name(attempt, reduced_formula(crystal.numbers)), crystal)
            for attempt, _, crystal in kept
        ],
        place,
        format,
        columns={
            name: values for name, values in columns.items() if any(x is not None for x in values)
        },
        layout=layout,
        texts=[text for _, text, _ in kept],
        note=print_note,
    )
    typer.echo(f"{format_count(written, 'crystal')} in {place}")


_BEST_COLUMNS = ("rank", "index", "predicted_e_above_hull", "log_probability_per_token")
"""Columns of tables of samples that were kept as the best."""


def _crystal_name(attempt: Mapping[str, Any], formula: str) -> str:
    """Return the name of a sample's crystal: its rank, if it has one, its index and its formula."""
    rank = f"{attempt['rank']:06d}-" if "rank" in attempt else ""
    return f"{rank}{attempt['index']:06d}-{formula}"


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
