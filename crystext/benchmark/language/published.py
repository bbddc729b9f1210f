"""Published results of a suite of questions: `evaluation/reference/language/*.yaml`.

The files have the form of `evaluate.published`; their `protocols` are suites. `ours` of a column is

    TASK.MEASURE           a measure of a task
    TASK.compat.NAME       a score of the published code for that task
    mean.MEASURE           a mean over tasks
    mean.compat.MEASURE    the mean of the published code's scores

What published code computed is compared with what that code computes from our answers.
"""

from __future__ import annotations

from typing import NamedTuple

from crystext.benchmark.language.results import QuestionResults
from crystext.evaluate.published import PublishedColumn, PublishedTable, published_tables
from crystext.runtime.shipped_files import shipped_path

MEAN, COMPAT_PREFIX = "mean", "compat."


class ColumnValue(NamedTuple):
    """A method's value in a published column."""

    value: float
    of: str
    """Valid answers of all questions, or tasks of all tasks."""


def suite_tables(suite: str) -> list[PublishedTable]:
    """Return the published tables of a suite; none for one that has none.

    Raises:
        SettingError: a table is invalid.
    """
    return published_tables(suite, shipped_path("evaluation", "reference", "language"))


def column_value(
    results: QuestionResults, column: PublishedColumn, method: str
) -> ColumnValue | None:
    """Return a method's value in a published column; None if it was not measured."""
    task, _, name = (column.ours or "").partition(".")
    is_compat = name.startswith(COMPAT_PREFIX)
    name = name.removeprefix(COMPAT_PREFIX)
    if task == MEAN:
        mean = results.mean(name, method)
        if mean is None:
            return None
        value = mean.compat if is_compat else mean.score.value
        of = f"{mean.n_tasks} of {mean.n_tasks_of_suite} tasks"
    else:
        result = results.task_result(task, method)
        if result is None or (not is_compat and name not in result.measures):
            return None
        value = result.compat.get(name) if is_compat else result.measures[name].value
        of = f"{result.n_valid:,}/{result.n:,}"
    return None if value is None else ColumnValue(value, of)
