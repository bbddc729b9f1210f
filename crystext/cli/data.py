"""`crystext data prepare`: any source of crystals to a file that training reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.errors import SettingError


def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            help="A csv, parquet or json table with structures, a folder, a zip, or a file.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Prepared file to write.", show_default=False)],
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="Keep only rows with this value in this column; may be repeated.",
            show_default=False,
        ),
    ] = None,
    max_atoms: Annotated[
        int | None, typer.Option(min=1, help="Skip larger cells.", show_default="any number")
    ] = None,
    symprec: Annotated[float, typer.Option(help="Tolerance in Å of the standardisation.")] = 0.1,
    standard: Annotated[
        bool,
        typer.Option(
            "--standard/--as-is", help="Bring cells into the standard description, or leave them."
        ),
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one a processor")
    ] = None,
) -> None:
    """Read crystals, standardise them and write a file for training; tell what was skipped."""
    from crystext.data.prepare import prepare as prepare_file

    report = prepare_file(
        source,
        out,
        standard=standard,
        symprec=symprec,
        max_atoms=max_atoms,
        where=_conditions(where or []),
        workers=workers,
        progress=True,
    )
    typer.echo(report)


def _conditions(where: list[str]) -> dict[str, str]:
    conditions: dict[str, str] = {}
    for condition in where:
        column, equals, value = condition.partition("=")
        if not (column and equals):
            raise SettingError(
                f"--where {condition!r} is no condition; expected COLUMN=VALUE, as in "
                "matches_heldout=False"
            )
        if column in conditions and conditions[column] != value:
            raise SettingError(f"--where asks for two values of {column!r}; no row has both")
        conditions[column] = value
    return conditions
