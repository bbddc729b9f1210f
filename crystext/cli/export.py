"""`crystext export`: candidates to calculations of other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import print_note
from crystext.cli.options.lenient import Lenient

if TYPE_CHECKING:
    from crystext.io.calculations.export import Export


class Cell(StrEnum):
    """The cell in which a crystal is written."""

    as_read = "as-read"
    primitive = "primitive"
    conventional = "conventional"


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CANDIDATES",
            help="A run directory, a table of candidates, or any source of crystals.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="vasp, qe (Quantum ESPRESSO), cp2k, abinit, aims (FHI-aims), atomate2, aiida, "
            "optimade, extxyz or cif.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder to write, which must be new or empty.", show_default=False),
    ],
    input_set: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Input set of the target. vasp: MPRelaxSet, MPScanRelaxSet, MP24RelaxSet and "
            "others; qe: vc-relax, relax, scf; another name lists those of the target.",
            show_default="the first of the target, which relaxes atoms and cell",
        ),
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column to order by, the least first; -COLUMN puts the greatest first.",
            show_default="rank if there is one, else the order given",
        ),
    ] = None,
    energies: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Table that `crystext hull` made of these candidates: it gives the order.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, help="Export the first n only.", show_default="all"),
    ] = None,
    cell: Annotated[
        Cell,
        typer.Option(
            help="Cell to write. Other cells than as-read move atoms to their symmetric positions, "
            "by at most 0.1 Å."
        ),
    ] = Cell.as_read,
    symmetrized: Annotated[
        bool,
        typer.Option(
            "--symmetrized", help="Write CIFs with symmetry operations and one atom per orbit."
        ),
    ] = False,
    lenient: Lenient = False,
) -> None:
    """Write the inputs of calculations for crystals, in order of priority, or files of structures.

    Every candidate has a numbered folder and a row of export_index.csv, with where it comes from
    and a relative cost. Candidates that cannot be read or written have a row with the reason.
    """
    from crystext.io.calculations.export import export_candidates
    from crystext.runtime.progress import Progress

    with Progress() as bars:
        advance = None

        def report(done: int, total: int) -> None:
            nonlocal advance
            advance = advance or bars.begin("exporting", total)
            advance(1)

        exported = export_candidates(
            source,
            to,
            out,
            input_set=input_set,
            rank_by=rank_by,
            energies=energies,
            n=n,
            cell=cell.value,
            symmetrized=symmetrized,
            lenient=lenient,
            progress=report,
        )
    _print_summary(exported)


def _print_summary(exported: Export) -> None:
    """Print notes and problems to standard error, and what was written to standard output."""
    from crystext.cli.crystal_output import print_left_out
    from crystext.cli.options.lenient import print_notes
    from crystext.runtime.wording import format_count

    print_notes((row.name, row.notes) for row in exported.written)
    for row in exported.problems:
        print_note(f"{row.name} is not written: {row.problem}")
    if exported.problems:
        print_left_out(len(exported.problems), len(exported.candidates), "candidate")
    chosen = f", {exported.input_set}" if exported.input_set else ""
    count = format_count(len(exported.written), "candidate")
    typer.echo(f"{count} for {exported.target}{chosen} in {exported.out}")


COMMAND = Command(export, "Write inputs of DFT programs for candidates.")
