"""`crystext data prepare`: from any source of crystals to a store for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options.lenient import Lenient
from crystext.errors import SettingError


def list_() -> None:
    """Print the public data sets that `prepare` knows by name."""
    from crystext.data.catalogue import CATALOGUE
    from crystext.runtime.files import cache_folder

    for name, data in CATALOGUE.items():
        published = all(file.checksum for file in data.files)
        note = "" if published else " No checksum is published; the first download is trusted."
        typer.echo(f"{name:<21}{data.n_crystals:>7,}  {data.description}.{note}")
        for file in data.files:
            typer.echo(f"{'':30}{file.url}")
    typer.echo(f"Downloads are kept in {cache_folder()} (CRYSTEXT_CACHE names another folder).")


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, csv, parquet, json or ASE database with structures; a run of "
            "`crystext sample`; a name of `crystext data list`; or mp:mp-149,mp-22862 or "
            "mp:@ids.txt.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the store; an existing one is replaced only by the same store.",
            show_default=False,
        ),
    ],
    validation: Annotated[
        str | None,
        typer.Option(
            help="Source of the validation crystals, which select models.",
            show_default="from SOURCE",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            help="Source of the test crystals, which score models.", show_default="from SOURCE"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN/VALIDATION/TEST",
            help="Proportions of train, validation and test in the split of SOURCE by structure.",
            show_default="0.9/0.05/0.05, unless SOURCE has splits or held-out sources are given",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split.")] = 0,
    keep_duplicates: Annotated[
        bool,
        typer.Option("--keep-duplicates", help="Keep training crystals that repeat earlier ones."),
    ] = False,
    allow_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-overlap", help="Keep training crystals that also occur in validation or test."
        ),
    ] = False,
    drop_overlap: Annotated[
        bool,
        typer.Option(
            "--drop-overlap", help="Skip training crystals that also occur in validation or test."
        ),
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="Keep only rows of SOURCE with this value in this column; repeat for more "
            "columns.",
            show_default=False,
        ),
    ] = None,
    max_atoms: Annotated[
        int | None, typer.Option(min=1, help="Skip larger cells.", show_default="any number")
    ] = None,
    symprec: Annotated[float, typer.Option(help="Tolerance of the standardisation, in Å.")] = 0.1,
    standard: Annotated[
        bool,
        typer.Option("--standard/--as-is", help="Standardise cells, or keep them as they are."),
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one a processor")
    ] = None,
    lenient: Lenient = False,
) -> None:
    """Read crystals, standardise, compare and split them, and write a store for training.

    Crystals that match an earlier one (StructureMatcher) are skipped. A split whose validation or
    test holds crystals of train is rejected unless an option says what to do. The report counts
    crystals that were skipped or read with a note.
    """
    from crystext.data.prepare_store import PrepareSettings
    from crystext.data.prepare_store import prepare as prepare_store

    if allow_overlap and drop_overlap:
        raise SettingError("--allow-overlap and --drop-overlap contradict each other; give one")
    settings = PrepareSettings(
        standard=standard,
        symprec=symprec,
        max_atoms=max_atoms,
        where=_parse_where(where or []),
        split=split,
        seed=seed,
        keep_duplicates=keep_duplicates,
        overlap="allow" if allow_overlap else "drop" if drop_overlap else "refuse",
        lenient=lenient,
    )
    report = prepare_store(
        source, out, settings, validation=validation, test=test, workers=workers, progress=True
    )
    typer.echo(report)


def _parse_where(where: list[str]) -> dict[str, str]:
    conditions: dict[str, str] = {}
    for condition in where:
        column, equals, value = condition.partition("=")
        if not (column and equals):
            raise SettingError(
                f"--where {condition!r} is not a condition; expected COLUMN=VALUE, as in "
                "matches_heldout=False"
            )
        if column in conditions and conditions[column] != value:
            raise SettingError(f"--where requires two values of {column!r}; no row has both")
        conditions[column] = value
    return conditions


COMMAND = Command(
    None,
    "Prepare data sets for training, and list them.",
    commands={
        "prepare": Command(prepare, "Write a store of crystals to train on."),
        "list": Command(list_, "List the public data sets that prepare knows by name."),
    },
)
