"""`crystext study`: studies of architecture and scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command

if TYPE_CHECKING:
    from crystext.study.results import StudyReport


def report(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with a table runs.parquet, .jsonl or .csv; or with the published tables "
            "of arXiv:2405.00949, ft_version_*/*.csv.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("study-report"),
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACTOR[,FACTOR]",
            help="Factors to compare by, such as architecture, or size,architecture for their "
            "combinations. Repeat the option for several comparisons.",
            show_default="every factor with two levels, alone",
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(help="Bootstrap samples of cells and repeats.", min=100)
    ] = 10_000,
    permutations: Annotated[
        int,
        typer.Option(help="Permutations, where there are too many to take all.", min=100),
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the samples.", min=0)] = 0,
) -> None:
    """Report a study of pretrained models: which is best, and whether chance explains it.

    Writes OUT/report.html, study.json and pictures, and prints total error scores and a summary.
    """
    from crystext.study.report import ReportOptions, write_report
    from crystext.study.tables import read_study

    options = ReportOptions(
        by=[[name.strip() for name in item.split(",")] for item in by or []],
        bootstrap=bootstrap,
        permutations=permutations,
        seed=seed,
    )
    made = write_report(read_study(source), out, options)
    _print_report(made)
    typer.echo(f"written to {out}")


def _print_report(report: StudyReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystext.evaluate.html.numbers import format_percent

    console = Console()
    for grouping in report.groupings:
        table = Table(
            grouping.title, "TES", "95% interval", "P(best)", "cells", title=f"by {grouping.title}"
        )
        for group in grouping.groups:
            tes = group.tes
            table.add_row(
                group.name,
                f"{tes.value:.6f}",
                f"{tes.low:.4f} to {tes.high:.4f}",
                format_percent(group.p_best),
                str(group.n_cells),
            )
        console.print(table)
    for sentence in [*report.summary, *report.notes]:
        typer.echo(f"- {sentence}")


COMMAND = Command(
    None,
    "Compare architectures and sizes of pretrained models.",
    commands={
        "report": Command(report, "Report a study: scores, significance, scaling."),
    },
)
