"""`crystext instruct`: questions about crystals, with right answers, to train chat models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options.lenient import Lenient

if TYPE_CHECKING:
    from crystext.instruct.build import BuildReport

_ALL_TASKS = "all"

Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes.", show_default="one a processor")
]


def build(
    source: Annotated[
        str,
        typer.Argument(
            help="Crystals: any source of crystext data prepare; a store that it wrote, with "
            "its parts; or shipped.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the questions; only an older set of questions is replaced.",
            show_default=False,
        ),
    ],
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="all|NAME",
            help="Kinds of questions (crystext instruct list). Repeat the option, or give a list.",
            show_default=_ALL_TASKS,
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", min=1, help="So many crystals, drawn by the seed.", show_default="all"
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="TRAIN/VALIDATION/TEST",
            help="Proportions of the crystals; equal crystals are never divided.",
        ),
    ] = "0.8/0.1/0.1",
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="cif|FORMAT",
            help="How crystals are shown and requested in every task.",
            show_default="cif in the tasks on files, plain in those on texts",
        ),
    ] = None,
    decimals: Annotated[
        int, typer.Option(min=1, max=6, help="Of numbers in CIFs; zeros at the end are left out.")
    ] = 6,
    prompts: Annotated[
        str,
        typer.Option(metavar="NAME|DIR", help="Prompt set: the phrasings of the questions."),
    ] = "instruct",
    layout: Annotated[
        str,
        typer.Option(
            metavar="chat|completion",
            help="Lines with messages, or with a prompt and its completion.",
        ),
    ] = "chat",
    seed: Annotated[int, typer.Option(min=0, help="Of the questions and the split.")] = 0,
    workers: Workers = None,
    lenient: Lenient = False,
) -> None:
    """Write questions about crystals with their right answers, split by material.

    Every crystal is asked about once in each task. OUT/train.jsonl is for training, OUT/test.jsonl
    for crystext benchmark cif-tasks. OUT/manifest.json counts what was left out, by reason.
    """
    from crystext.instruct.build import BuildSettings
    from crystext.instruct.build import build as write
    from crystext.instruct.printed import Writer

    names = [name for item in tasks or [_ALL_TASKS] for name in item.replace(",", " ").split()]
    settings = BuildSettings(
        tasks=tuple(names),
        split=split,
        seed=seed,
        writer=Writer(format, decimals),
        words=prompts,
        layout=layout,
        n=n,
        lenient=lenient,
    )
    report = write(source, out, settings, workers=workers, progress=True)
    _print_report(report)
    typer.echo(f"written to {out}")


def check(
    folder: Annotated[
        Path, typer.Argument(help="Folder of crystext instruct build.", show_default=False)
    ],
    workers: Workers = None,
) -> None:
    """Verify a set of questions.

    No crystal of one part matches one of another (pymatgen's StructureMatcher on every pair of one
    formula), every question lies in the part of its crystal, and every right answer is graded as
    right.
    """
    from crystext.instruct.check import check as verify
    from crystext.runtime.wording import format_count

    result = verify(folder, workers=workers, progress=True)
    parts = ", ".join(f"{n:,} in {part}" for part, n in result.materials.items())
    typer.echo(f"crystals: {parts}")
    questions = format_count(sum(result.questions.values()), "question")
    typer.echo(f"{questions}, each right answer graded as right")
    typer.echo(
        f"{format_count(result.n_pairs, 'pair')} of one formula in different parts compared: no "
        "match"
    )


def check_energies(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of crystext instruct build, whose test part was asked, or one of its "
            "files.",
            show_default=False,
        ),
    ],
    answers: Annotated[
        Path,
        typer.Argument(
            help="Answers by the ids of the questions, as JSON lines: those of a run of crystext "
            "benchmark are in OUT/answers.",
            show_default=False,
        ),
    ],
    potential: Annotated[
        str,
        typer.Option(
            metavar="auto|m3gnet|chgnet|FOLDER|MODULE:FUNCTION",
            help="Relaxes the crystals, as in crystext relax.",
        ),
    ] = "auto",
    hull: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="As in crystext hull.", show_default="mp2020"),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, help="Only the first n questions.", show_default="all"),
    ] = None,
) -> None:
    """Check requested energies in generated crystals, which takes a relaxation of each.

    A formation energy or an energy above the hull is satisfied within 0.1 eV/atom. Crystals that
    cannot be relaxed, and answers that are no crystals, count as not satisfied.
    """
    from crystext.energies.hull_sources import DEFAULT_HULL, open_hull
    from crystext.energies.potentials import load_potential
    from crystext.instruct.energies import EnergyCalculator, check_requested_energies
    from crystext.runtime.progress import Progress

    with Progress() as bars:
        opened = open_hull(hull or DEFAULT_HULL, begin=bars.begin)
        results = check_requested_energies(
            data,
            answers,
            EnergyCalculator(load_potential(potential), opened),
            n=n,
            start_progress=bars.begin,
        )
    lines = {**results.satisfied, "all conditions": results.all_satisfied}
    for name, proportion in lines.items():
        typer.echo(f"{name}: {proportion.count:,} of {proportion.total:,} satisfied")


def list_() -> None:
    """Print the kinds of questions, with their numbers in LLaMat's list."""
    from crystext.instruct.registry import INSTRUCTION_TASKS

    for name, task in INSTRUCTION_TASKS.items():
        number = str(task.number or "")
        extra = "" if task.is_default else " (not in all)"
        typer.echo(f"{number:>3} {name:<24}{task.title}{extra}")


def _print_report(report: BuildReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystext.runtime.wording import format_count

    parts = list(report.questions)
    table = Table("task", *parts, "left out, by reason", box=None)
    for name in next(iter(report.questions.values())):
        reasons = report.left_out.get(name, {})
        listed = "\n".join(f"{n:,}: {reason}" for reason, n in reasons.items())
        table.add_row(name, *(f"{report.questions[part][name]:,}" for part in parts), listed)
    Console(markup=False, highlight=False).print(table)
    typer.echo(
        ", ".join(f"{n:,} crystals in {part}" for part, n in report.n_materials.items())
        + f"; {format_count(report.n_groups, 'group')} of equal crystals; "
        f"{format_count(report.n_pairs, 'pair')} of one formula in different parts, none of which "
        "match"
    )
    for reason, n in report.unreadable.items():
        typer.echo(f"{format_count(n, 'structure')} left out: {reason}", err=True)


COMMAND = Command(
    None,
    "Make questions about crystals to train and test chat models.",
    commands={
        "build": Command(build, "Write questions with right answers, split by material."),
        "check": Command(check, "Verify that parts share no crystal and answers are right."),
        "check-energies": Command(
            check_energies, "Check requested energies in generated crystals."
        ),
        "list": Command(list_, "List the kinds of questions."),
    },
)
