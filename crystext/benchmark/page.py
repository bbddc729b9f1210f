"""Writes `report.html` of a benchmark: scores, published rows, tasks, parity plots, failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from crystext.benchmark.parity import ParityPlot, parity_plot
from crystext.benchmark.published import ColumnValue, column_value, suite_tables
from crystext.benchmark.results import BenchmarkResults, DatasetScore, Score, TaskResult
from crystext.benchmark.run import Unit
from crystext.benchmark.scores import COVERAGES, LOWER_IS_BETTER, TITLES
from crystext.evaluate.html.numbers import MISSING, format_number
from crystext.evaluate.html.template_rendering import render
from crystext.evaluate.published import PublishedTable
from crystext.runtime.files import write_text

_MAX_PLOTS = 60
"""Parity plots of a page at most: each has hundreds of points."""


class ScoreCell(NamedTuple):
    """A number of a table, with what it is of."""

    value: str
    interval: str
    of: str


class Comparison(NamedTuple):
    """A published table with our methods above it."""

    block: PublishedTable
    rows: list[tuple[str, list[ColumnValue | None]]]


def write_page(results: BenchmarkResults, units: Sequence[Unit], path: Path) -> None:
    """Write the results as one page that needs no other file and no network.

    Raises:
        RunError: the page cannot be written.
        SettingError: a published table is invalid.
    """
    page = render_page(results, units)
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def render_page(results: BenchmarkResults, units: Sequence[Unit]) -> str:
    """Return the page as text; see `write_page`."""
    return render(
        "benchmark.html",
        package="crystext.benchmark",
        results=results,
        groups=_score_groups(results),
        comparisons=_comparisons(results),
        tasks=_tasks(results),
        plots=_plots(units),
        failures=[x for x in results.tasks if x.failures],
        leaks=leak_rows(results),
        titles=TITLES,
        style=page_style(),
    )


def page_style() -> str:
    """Return the style sheet of pages of benchmarks."""
    common = files("crystext.evaluate.html")
    sheets = [common.joinpath(name) for name in ("style.css", "charts.css", "print.css")]
    sheets.append(files("crystext.benchmark").joinpath("benchmark.css"))
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def score_cell(score: Score | None, n_valid: int, n_test: int, status: str = "") -> ScoreCell:
    """Return a score as tables show it: value, interval, and valid answers of test records."""
    of = f"{n_valid:,}/{n_test:,}"
    if score is None or score.value is None:
        return ScoreCell(status or MISSING, "" if score is None else score.note, of)
    interval = ""
    if score.low is not None and score.high is not None:
        interval = f"{format_number(score.low)} to {format_number(score.high)}"
    return ScoreCell(format_number(score.value), interval, of)


def metric_title(name: str) -> str:
    """Return a metric's title with an arrow to its better end; a coverage has none."""
    if name in COVERAGES:
        return TITLES[name]
    return f"{TITLES[name]} {'↓' if name in LOWER_IS_BETTER else '↑'}"


def _score_groups(
    results: BenchmarkResults,
) -> list[tuple[str, list[str], list[tuple[str, list[ScoreCell | None]]]]]:
    """Return for each kind of property: a title, data sets, and a row for each method."""
    groups = []
    for kind, title in (("number", "Regression"), ("boolean", "Classification")):
        scores = [x for x in results.scores if x.kind == kind]
        if not scores:
            continue
        datasets = list(dict.fromkeys(x.dataset for x in scores))
        by_place: Mapping[tuple[str, str], DatasetScore] = {
            (x.method, x.dataset): x for x in scores
        }
        rows = [
            (method, [_dataset_cell(by_place.get((method, name))) for name in datasets])
            for method in dict.fromkeys(x.method for x in scores)
        ]
        groups.append((f"{title}: {metric_title(scores[0].metric)}", datasets, rows))
    return groups


def _dataset_cell(score: DatasetScore | None) -> ScoreCell | None:
    if score is None:
        return None
    cell = score_cell(score.score, score.n_valid, score.n_test)
    if score.is_complete:
        return cell
    return cell._replace(of=f"{cell.of}; {score.n_tasks} of {score.n_tasks_of_suite} tasks")


def _comparisons(results: BenchmarkResults) -> list[Comparison]:
    found = []
    for block in suite_tables(results.suite):
        rows = [
            (method, [column_value(results, x, method) for x in block.columns.values()])
            for method in results.methods
        ]
        if any(cell is not None for _, cells in rows for cell in cells):
            found.append(Comparison(block, rows))
    return found


def _tasks(
    results: BenchmarkResults,
) -> list[tuple[str, str, list[str], list[tuple[TaskResult, list[ScoreCell]]]]]:
    """Return for each task: name, title, metrics, and a row for each method."""
    groups: dict[str, list[TaskResult]] = defaultdict(list)
    for task in results.tasks:
        groups[task.task].append(task)
    found = []
    for name, group in groups.items():
        metrics = [x for x in TITLES if any(x in task.metrics for task in group)]
        rows = [
            (
                task,
                [
                    score_cell(
                        task.metrics.get(x),
                        task.n_valid,
                        task.n_test,
                        task.status if x == task.metric else "",
                    )
                    for x in metrics
                ],
            )
            for task in group
        ]
        title = f"{group[0].title} ({group[0].unit})" if group[0].unit else group[0].title
        found.append((name, title, [metric_title(x) for x in metrics], rows))
    return found


def _plots(units: Sequence[Unit]) -> list[ParityPlot]:
    groups: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in units:
        groups[unit.task.name, unit.method].append(unit)
    plots = (parity_plot(group) for group in list(groups.values())[:_MAX_PLOTS])
    return [plot for plot in plots if plot is not None]


class LeakRow(NamedTuple):
    """The leak of a task, over its folds."""

    task: str
    n_leaked: int
    n_test: int
    by: str


def leak_rows(results: BenchmarkResults) -> list[LeakRow]:
    """Return the leak of each task that has test records in train, over its folds."""
    rows = []
    for task in dict.fromkeys(unit.task for unit in results.units):
        units = [unit for unit in results.units if unit.task == task]
        units = [unit for unit in units if unit.method == units[0].method]
        count, total = sum(x.leak.count for x in units), sum(x.leak.total for x in units)
        if count:
            rows.append(LeakRow(task, count, total, units[0].leak.by))
    return rows
