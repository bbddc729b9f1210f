"""`crystext benchmark` on a suite that asks questions in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from crystext.cli.benchmark_request import BenchmarkRequest
from crystext.cli.options.decoding import changed_decoding

if TYPE_CHECKING:
    from crystext.benchmark.language.results import QuestionResults


def run(request: BenchmarkRequest) -> None:
    """Measure the methods, or write the questions, and print what came out."""
    from crystext.benchmark.language.measure import (
        QuestionOptions,
        benchmark_questions,
        default_decoding,
        write_question_prompts,
    )
    from crystext.benchmark.language.suite import QUESTION_SUITES, Selection
    from crystext.runtime.progress import Progress
    from crystext.runtime.wording import format_count

    suite = QUESTION_SUITES.find(request.suite)
    is_compat = request.is_compat(suite.compat)
    prompts = request.prompts if request.prompts != BenchmarkRequest.prompts else ""
    selection = Selection(request.tasks, request.n, request.seed, is_compat, prompts)
    if request.writes_prompts() and request.prompts_file is not None:
        count = write_question_prompts(suite, request.data, request.prompts_file, selection)
        typer.echo(f"{format_count(count, 'prompt')} written to {request.prompts_file}")
        return
    default = default_decoding(suite, is_compat=is_compat)
    options = QuestionOptions(selection, changed_decoding(default, **request.decoding))
    with Progress(transient=False) as bars:
        results = benchmark_questions(
            suite,
            request.data,
            request.methods,
            request.out,
            options,
            answers=request.answers,
            progress=bars.update,
        )
    _print_results(results)
    typer.echo(f"written to {request.out}")


def _print_results(results: QuestionResults) -> None:
    """Print the first measure of every task and method, and the means over tasks."""
    from rich.console import Console
    from rich.table import Column, Table

    from crystext.benchmark.language.page import measure_title, primary_cell, primary_measure
    from crystext.benchmark.page import score_cell

    console = Console()
    names = [Column(name, overflow="fold") for name in ("task", "method", "method")]
    table = Table(
        names[0], names[1], "measure", "value", "95% interval", "valid", title=results.title
    )
    for task in results.tasks:
        name = primary_measure(results, task.task)
        cell, title = primary_cell(task, name), measure_title(results.measures[task.task][name])
        table.add_row(task.task, task.method, title, cell.value, cell.interval, cell.of)
    console.print(table)
    if results.means:
        table = Table(names[2], "measure", "mean", "95% interval", "tasks")
        for mean in results.means:
            found = next(x[mean.measure] for x in results.measures.values() if mean.measure in x)
            cell = score_cell(mean.score, 0, 0)
            of = f"{mean.n_tasks} of {mean.n_tasks_of_suite}"
            table.add_row(mean.method, measure_title(found), cell.value, cell.interval, of)
        console.print(table)
    for unit in results.failed:
        typer.echo(f"{unit.task} {unit.method}: {unit.message}", err=True)
    for note in results.notes:
        typer.echo(f"note: {note}", err=True)
