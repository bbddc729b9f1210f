"""Published results of a suite: `evaluation/reference/properties/*.yaml`.

The files have the form of `evaluate.published`; their `protocols` are suites, and `ours` of a
column is `DATASET.METRIC`: the mean of a metric over the data set's tasks, weighted by their
numbers of test records.
"""

from __future__ import annotations

from typing import NamedTuple

from crystext.benchmark.results import BenchmarkResults
from crystext.benchmark.scores import size_weighted_mean
from crystext.evaluate.published import PublishedColumn, PublishedTable, published_tables
from crystext.runtime.resources import shipped_path


class ColumnValue(NamedTuple):
    """A method's value in a published column."""

    value: float
    n_tasks: int
    n_tasks_of_column: int
    """Number of tasks that the published value is of."""
    n_valid: int
    n_test: int


def suite_tables(suite: str) -> list[PublishedTable]:
    """Return the published tables of a suite; none for one that is not shipped.

    Raises:
        SettingError: a table is invalid.
    """
    return published_tables(suite, shipped_path("evaluation", "reference", "properties"))


def column_value(
    results: BenchmarkResults, column: PublishedColumn, method: str
) -> ColumnValue | None:
    """Return a method's value in a published column; None if it was not measured."""
    dataset, _, metric = (column.ours or "").partition(".")
    tasks = [
        (x, score.value)
        for x in results.tasks
        if (x.dataset, x.method, x.status) == (dataset, method, "")
        and (score := x.metrics.get(metric)) is not None
        and score.value is not None
    ]
    if not tasks:
        return None
    kind = tasks[0][0].kind
    expected = next(
        x.n_tasks_of_suite
        for x in results.scores
        if (x.dataset, x.method, x.kind) == (dataset, method, kind)
    )
    return ColumnValue(
        size_weighted_mean([value for _, value in tasks], [x.n_test for x, _ in tasks]),
        len(tasks),
        expected,
        sum(x.n_valid for x, _ in tasks),
        sum(x.n_test for x, _ in tasks),
    )
