"""`crystext benchmark` on a suite of tables whose properties are predicted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import typer

from crystext.cli.benchmark_request import BenchmarkRequest
from crystext.cli.options.decoding import changed_decoding
from crystext.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from crystext.benchmark.measure import BenchmarkOptions
    from crystext.benchmark.results import BenchmarkResults
    from crystext.benchmark.suite import SplitSpec


@dataclass(frozen=True)
class TableOptions:
    """The options that only suites of tables take."""

    input: str | None = None
    split: str | None = None
    few_shot: int = 0
    prompts: str = "chat"
    min_valid: int | None = None
    keep_cell_volume: bool = False

    def refuse(self, suite: str, *, takes_prompts: bool) -> None:
        """Refuse all of these options, except prompts for a suite that takes them.

        Raises:
            SettingError: one is given.
        """
        given = [
            "--" + field.name.replace("_", "-")
            for field in fields(self)
            if getattr(self, field.name) != field.default
            and not (takes_prompts and field.name == "prompts")
        ]
        if given:
            raise SettingError(
                f"{suite} asks questions in words, which {', '.join(given)} does not apply to: it "
                "belongs to suites of tables; leave it out"
            )


def run(request: BenchmarkRequest, table: TableOptions) -> None:
    """Measure the methods, or write the prompts of chat models, and print what came out."""
    from crystext.benchmark.measure import benchmark, write_prompts
    from crystext.runtime.progress import Progress
    from crystext.runtime.wording import format_count

    options = _options(request, table)
    if request.writes_prompts() and request.prompts_file is not None:
        count = write_prompts(request.suite, request.data, request.prompts_file, options)
        typer.echo(f"{format_count(count, 'prompt')} written to {request.prompts_file}")
        return
    with Progress(transient=False) as bars:
        results = benchmark(
            request.suite,
            request.data,
            request.methods,
            request.out,
            options,
            answers=request.answers,
            progress=bars.update,
        )
    _print_results(results)
    typer.echo(f"written to {request.out}")


def _options(request: BenchmarkRequest, table: TableOptions) -> BenchmarkOptions:
    from crystext.benchmark.compat import COMPAT, DECODING
    from crystext.benchmark.measure import BenchmarkOptions
    from crystext.benchmark.run import RunSettings
    from crystext.inference.text_models.base import ChatDecoding

    is_compat = request.is_compat(COMPAT)
    default = DECODING if is_compat else ChatDecoding()
    return BenchmarkOptions(
        input=table.input,
        tasks=request.tasks,
        split=None if table.split is None else _split(table.split),
        few_shot=table.few_shot,
        prompts=table.prompts,
        decoding=changed_decoding(default, **request.decoding),
        is_compat=is_compat,
        min_valid=table.min_valid,
        # LLM4Mat-Bench keeps them.
        settings=RunSettings(request.seed, request.n, table.keep_cell_volume or is_compat),
    )


def _split(name: str) -> SplitSpec:
    from typing import get_args

    from crystext.benchmark.suite import SplitKind, SplitSpec

    kinds = get_args(SplitKind)
    if name not in kinds:
        raise SettingError(
            f"no split {name!r}; there are {', '.join(kinds)}.{did_you_mean(name, kinds)}"
        )
    return SplitSpec.model_validate({"kind": name})


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
