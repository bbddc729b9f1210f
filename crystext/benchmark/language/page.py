"""Writes `report.html` of a benchmark in words: scores, published rows, tasks, invalid answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crystext.benchmark.language.published import ColumnValue, column_value, suite_tables
from crystext.benchmark.language.results import MeasureInfo, QuestionResults, QuestionTaskResult
from crystext.benchmark.page import ScoreCell, page_style, score_cell
from crystext.evaluate.html.numbers import MISSING, format_number
from crystext.evaluate.html.template_rendering import render
from crystext.evaluate.published import PublishedTable
from crystext.runtime.files import write_text

_MAX_REASONS = 10
"""Reasons of a task and a method that are shown: some quote the answer."""


class MeanRow(NamedTuple):
    """A mean over tasks."""

    method: str
    title: str
    cell: ScoreCell
    tasks: str


class TaskTable(NamedTuple):
    """A task with a row for each method, and another table of the published code's scores."""

    name: str
    title: str
    headers: list[str]
    rows: list[tuple[str, list[ScoreCell]]]
    compat_headers: list[str]
    compat_rows: list[tuple[str, list[str]]]


def write_page(results: QuestionResults, path: Path) -> None:
    """Write the results as one page that needs no other file and no network.

    Raises:
        RunError: the page cannot be written.
        SettingError: a published table is invalid.
    """
    page = render(
        "language.html",
        package="crystext.benchmark",
        results=results,
        headers=[_task_header(results, name) for name in results.measures],
        summary=_summary(results),
        means=_means(results),
        comparisons=_comparisons(results),
        tasks=_task_tables(results),
        problems=[_shortened(x) for x in results.tasks if x.problems],
        style=page_style(),
    )
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def measure_title(measure: MeasureInfo) -> str:
    """Return a measure's title with its unit, and an arrow to its better end."""
    unit = f" ({measure.unit})" if measure.unit else ""
    return f"{measure.title}{unit} {'↑' if measure.higher_is_better else '↓'}"


def primary_cell(result: QuestionTaskResult, name: str) -> ScoreCell:
    """Return a measure as tables show it: value, interval, and valid answers of all."""
    return score_cell(result.measures[name], result.n_valid, result.n)


def primary_measure(results: QuestionResults, task: str) -> str:
    """Return the name of a task's first measure."""
    return next(iter(results.measures[task]))


def _task_header(results: QuestionResults, task: str) -> str:
    name = primary_measure(results, task)
    return f"{task}: {measure_title(results.measures[task][name])}"


def _summary(results: QuestionResults) -> list[tuple[str, list[ScoreCell | None]]]:
    rows = []
    for method in results.methods:
        found = {task: results.task_result(task, method) for task in results.measures}
        cells = [
            None if x is None else primary_cell(x, primary_measure(results, task))
            for task, x in found.items()
        ]
        rows.append((method, cells))
    return rows


def _means(results: QuestionResults) -> list[MeanRow]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for task in results.tasks:
        counts[task.method].update({"valid": task.n_valid, "all": task.n})
    rows = []
    for mean in results.means:
        title = next(x[mean.measure] for x in results.measures.values() if mean.measure in x)
        n = counts[mean.method]
        cell = score_cell(mean.score, n["valid"], n["all"])
        of = f"{mean.n_tasks} of {mean.n_tasks_of_suite}"
        rows.append(MeanRow(mean.method, measure_title(title), cell, of))
        if mean.compat is not None:
            cell = ScoreCell(format_number(mean.compat), "", results.compat)
            rows.append(MeanRow(mean.method, f"{measure_title(title)}, published code", cell, of))
    return rows


def _comparisons(
    results: QuestionResults,
) -> list[tuple[PublishedTable, list[tuple[str, list[ColumnValue | None]]]]]:
    return [
        (
            block,
            [
                (method, [column_value(results, x, method) for x in block.columns.values()])
                for method in results.methods
            ],
        )
        for block in suite_tables(results.suite)
    ]


def _task_tables(results: QuestionResults) -> list[TaskTable]:
    tables = []
    for name, measures in results.measures.items():
        group = [x for x in results.tasks if x.task == name]
        if not group:
            continue
        rows = [(x.method, [primary_cell(x, measure) for measure in measures]) for x in group]
        scores = list(dict.fromkeys(score for x in group for score in x.compat))
        titles = [measures[x].title if x in measures else x.replace("_", " ") for x in scores]
        compat = [(x.method, [_number(x.compat.get(score)) for score in scores]) for x in group]
        headers = [measure_title(measure) for measure in measures.values()]
        tables.append(TaskTable(name, group[0].title, headers, rows, titles, compat))
    return tables


def _number(value: float | None) -> str:
    return MISSING if value is None else format_number(value)


def _shortened(result: QuestionTaskResult) -> QuestionTaskResult:
    """Return a result with its most frequent reasons, the others counted together."""
    reasons: Sequence[tuple[str, int]] = list(result.problems.items())
    rest = sum(n for _, n in reasons[_MAX_REASONS:])
    shown = dict(reasons[:_MAX_REASONS]) | ({"other reasons": rest} if rest else {})
    return result.model_copy(update={"problems": shown})
