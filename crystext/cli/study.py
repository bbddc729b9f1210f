"""`crystext study`: studies of architecture and scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command

if TYPE_CHECKING:
    from crystext.study.grid_checks import GridPlan
    from crystext.study.results import StudyReport


GridName = Annotated[
    str, typer.Argument(metavar="GRID", help="A shipped grid, or a YAML file.", show_default=False)
]
GridData = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder with the grid's tables; the table shipped needs none.",
        show_default="this folder",
    ),
]


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


def check(
    grid: GridName,
    data: GridData = Path(),
) -> None:
    """Check a grid beside its data, and print what it would train; nothing is trained.

    Refused, all at once: sizes that an architecture cannot match within 5%, missing tables, tasks
    without labels, parts of a split without records or with one class.
    """
    from crystext.study.grid import load_grid
    from crystext.study.grid_checks import check_grid

    _print_plan(check_grid(load_grid(grid), data))


def run(
    grid: GridName,
    out: Annotated[Path, typer.Option(help="Folder of the study.", show_default=False)],
    data: GridData = Path(),
    cells: Annotated[
        str | None,
        typer.Option(
            metavar="I/K",
            help="Every K-th cell from the I-th, to divide a study between machines.",
            show_default="all that no other process runs",
        ),
    ] = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Check the grid as study check does, and stop.")
    ] = False,
) -> None:
    """Run a grid: pretrain its cells, fine-tune them on the tasks, and have them write crystals.

    Several processes may share OUT. A killed run goes on with the same command. crystext study show
    tells how far it is, and crystext study report reads OUT.
    """
    from rich.console import Console

    from crystext.study.cells import chosen_cells
    from crystext.study.grid import load_grid
    from crystext.study.grid_checks import check_grid
    from crystext.study.run import run_study

    loaded = load_grid(grid)
    if only_check:
        plan = check_grid(loaded, data)
        chosen_cells(plan.cells, cells)
        _print_plan(plan)
        return
    missing = run_study(loaded, data, out, part=cells, console=Console(stderr=True))
    typer.echo(f"{len(missing):,} cells are missing: {', '.join(missing)}" if missing else
               f"all cells are complete; crystext study report {out}")  # fmt: skip


def show(
    out: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the study.", show_default=False)
    ],
) -> None:
    """Show how far a study is: which cells are complete, run, or have stopped, and what to do next.

    It may be asked while other processes run the study.
    """
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    from crystext.study.progress import CELL_STATES, next_step, study_progress

    found = study_progress(out)
    table = Table("cell", "state", "step", "validation loss")
    for cell in found:
        if cell.state in ("running", "stopped"):
            steps = "?" if cell.steps is None else f"{cell.steps:,}"
            loss = "" if cell.loss is None else f"{cell.loss:.4f}"
            table.add_row(cell.name, cell.state, f"{cell.step:,} of {steps}", loss)
    if table.rows:
        Console().print(table)
    counts = Counter(cell.state for cell in found)
    listed = ", ".join(f"{counts[state]:,} {state}" for state in CELL_STATES)
    typer.echo(f"{len(found):,} cells: {listed}")
    typer.echo(next_step(out, found))


def targets(
    source: Annotated[
        Path,
        typer.Argument(help="A table of molecules, or anything with crystals.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Table to write, .parquet.", show_default=False)],
    kind: Annotated[
        str,
        typer.Option(
            metavar="descriptors|crystal",
            help="descriptors: 105 of RDKit, of molecules; crystal: what follows from a structure.",
        ),
    ] = "descriptors",
) -> None:
    """Write the targets of pretraining that need no label: a row for each molecule or crystal.

    A target that does not exist, such as a partial charge beside a metal, is null and is counted.
    """
    from crystext.study.targets import write_targets

    typer.echo(write_targets(source, out, kind))
    typer.echo(f"written to {out}")


def _print_plan(plan: GridPlan) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystext.runtime.wording import format_count

    console = Console()
    table = Table("architecture", "size", "tokenizer", "hidden", "feed-forward", "heads", "layers",
                  "parameters", title="Networks")  # fmt: skip
    rows = {
        (cell.architecture, cell.size, cell.tokenizer): (cell.sizes, cell.parameters)
        for cell in plan.cells
    }
    for names, (sizes, parameters) in rows.items():
        widths = (sizes.hidden_size, sizes.intermediate_size, sizes.heads, sizes.layers)
        table.add_row(*names, *map(str, widths), f"{parameters:,}")
    console.print(table)
    table = Table("task", "train", "validation", "test", title="Records of tasks")
    for task in plan.tasks:
        table.add_row(task.task, *(f"{n:,}" for n in task[1:]))
    console.print(table)
    pretrainings = format_count(len(plan.cells), "pretraining")
    typer.echo(f"{pretrainings}, {format_count(len(plan.tasks), 'task')}")


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
        "check": Command(check, "Check a grid of pretrainings beside its data."),
        "run": Command(run, "Run a grid: pretrain, fine-tune, write the rows of a report."),
        "show": Command(show, "Show how far a study is, and what to do next."),
        "targets": Command(targets, "Write targets of pretraining that need no label."),
    },
)
