"""`crystext benchmark`: measure property prediction on a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.listing import SuiteCommand

if TYPE_CHECKING:
    from crystext.benchmark.results import BenchmarkResults
    from crystext.benchmark.suite import SplitSpec
    from crystext.inference.text_models.base import ChatDecoding


def benchmark(
    suite: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="A shipped suite, or a YAML file.", show_default=False
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder with the suite's tables.", show_default=False),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|MODEL|chat:MODEL",
            help="A method that is fitted on the training rows, such as forest or mean; a model "
            "of crystext predict (shipped, a folder, OWNER/NAME); or a chat model (folder or "
            "OWNER/NAME) that is asked in words. Repeat the option for several.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Answers that another program or service wrote, as JSON or JSON lines.",
            show_default=False,
        ),
    ] = None,
    write_prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Only write the prompts of a chat model to this file, for another program or "
            "service; give its answers as --answers.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(help="Type of input of the suite.", show_default="the suite's first"),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Data sets or tasks (mp, mp/band_gap). Repeat the option, or give a list a,b.",
            show_default="all whose files are there",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results; a run in it is resumed.")
    ] = Path("benchmark"),
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", help="Only the first n test rows of a fold.", min=1, show_default="all"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="matbench|random_folds|formula_folds|random|scaffold",
            help="How single tables are divided.",
            show_default="the suite's",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the methods.", min=0)] = 0,
    few_shot: Annotated[
        int, typer.Option(help="Examples in the prompts of chat models.", min=0, max=100)
    ] = 0,
    prompts: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR|FILE.csv",
            help="Prompts of chat models: a set of templates, or LLM4Mat-Bench's file of prompts.",
        ),
    ] = "chat",
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Sample the answers of chat models at this temperature; 0 decodes greedily.",
            min=0,
            show_default="0",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(help="Sample from so many tokens.", min=1, show_default="all"),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Length of answers at most.", min=1, show_default="64"),
    ] = None,
    compat: Annotated[
        str | None,
        typer.Option(
            metavar="llm4mat",
            help="Parse and score answers as LLM4Mat-Bench does, and sample them likewise.",
            show_default=False,
        ),
    ] = None,
    min_valid: Annotated[
        int | None,
        typer.Option(
            help="A task with fewer valid answers has no score.",
            min=1,
            show_default="1, or 10 with --compat",
        ),
    ] = None,
    keep_cell_volume: Annotated[
        bool,
        typer.Option(
            "--keep-cell-volume",
            help="Keep the line of a CIF that states the target, such as _cell_volume.",
        ),
    ] = False,
) -> None:
    """Measure property prediction on a suite and write OUT/report.html and results.json.

    Every task, method and fold is one unit; predictions are written as they are made, and the same
    command resumes a run that was killed. Invalid answers are counted beside every score.
    """
    from crystext.benchmark.compat import COMPAT
    from crystext.benchmark.measure import BenchmarkOptions
    from crystext.benchmark.measure import benchmark as measure
    from crystext.benchmark.measure import write_prompts as write
    from crystext.benchmark.run import RunSettings
    from crystext.errors import SettingError, did_you_mean
    from crystext.runtime.progress import Progress
    from crystext.runtime.wording import format_count

    if compat not in (None, COMPAT):
        raise SettingError(
            f"--compat {compat} is unknown; expected {COMPAT}."
            + did_you_mean(str(compat), [COMPAT])
        )
    options = BenchmarkOptions(
        input=input,
        tasks=[name for item in tasks or [] for name in item.replace(",", " ").split()],
        split=None if split is None else _split(split),
        few_shot=few_shot,
        prompts=prompts,
        decoding=_decoding(compat is not None, temperature, top_k, max_new_tokens),
        is_compat=compat is not None,
        min_valid=min_valid,
        # LLM4Mat-Bench keeps them.
        settings=RunSettings(seed, n, keep_cell_volume or compat is not None),
    )
    if write_prompts is not None:
        if method or answers:
            raise SettingError("--write-prompts measures nothing; leave out --method and --answers")
        count = write(suite, data, write_prompts, options)
        typer.echo(f"{format_count(count, 'prompt')} written to {write_prompts}")
        return
    with Progress(transient=False) as bars:
        results = measure(
            suite, data, method or [], out, options, answers=answers or [], progress=bars.update
        )
    _print_results(results)
    typer.echo(f"written to {out}")


def _split(name: str) -> SplitSpec:
    from typing import get_args

    from crystext.benchmark.suite import SplitKind, SplitSpec
    from crystext.errors import SettingError, did_you_mean

    kinds = get_args(SplitKind)
    if name not in kinds:
        raise SettingError(
            f"no split {name!r}; there are {', '.join(kinds)}.{did_you_mean(name, kinds)}"
        )
    return SplitSpec.model_validate({"kind": name})


def _decoding(
    is_compat: bool, temperature: float | None, top_k: int | None, max_new_tokens: int | None
) -> ChatDecoding:
    from dataclasses import replace
    from typing import Any

    from crystext.benchmark.chat import COMPAT_DECODING
    from crystext.inference.text_models.base import ChatDecoding

    decoding = COMPAT_DECODING if is_compat else ChatDecoding()
    given = {"temperature": temperature, "top_k": top_k, "max_new_tokens": max_new_tokens}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if temperature == 0:
        changes = {"top_k": None, **changes}
    return replace(decoding, **changes)


def _print_results(results: BenchmarkResults) -> None:
    """Print the primary metric of every task, and the scores of data sets."""
    from rich.console import Console
    from rich.table import Column, Table

    from crystext.benchmark.page import metric_title, score_cell

    console = Console()
    # Names are broken where they are too long, not cut.
    names = [Column(name, overflow="fold") for name in ("task", "data set", "method", "method")]
    table = Table(
        names[0], names[2], "metric", "value", "95% interval", "valid", title=results.title
    )
    for task in results.tasks:
        cell = score_cell(task.metrics[task.metric], task.n_valid, task.n_test, task.status)
        table.add_row(
            task.task, task.method, metric_title(task.metric), cell.value, cell.interval, cell.of
        )
    console.print(table)
    # A mean over one task says nothing new.
    scores = [score for score in results.scores if score.n_tasks > 1]
    if scores:
        table = Table(names[1], names[3], "metric", "mean", "95% interval", "tasks", "valid")
        for score in scores:
            cell = score_cell(score.score, score.n_valid, score.n_test)
            of = f"{score.n_tasks} of {score.n_tasks_of_suite}"
            title = metric_title(score.metric)
            table.add_row(
                score.dataset, score.method, title, cell.value, cell.interval, of, cell.of
            )
        console.print(table)
    for unit in results.failed:
        where = " ".join(filter(None, (unit.task, unit.method, unit.fold)))
        typer.echo(f"{where}: {unit.message}", err=True)
    for note in results.notes:
        typer.echo(f"note: {note}", err=True)


COMMAND = Command(benchmark, "Measure property prediction on a suite.", cls=SuiteCommand)
