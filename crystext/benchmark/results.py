"""The results of a benchmark: the schema of `results.json`.

A unit is one task, method and fold. A task's result pools its units; a dataset's score is the mean
of its tasks' primary metric, weighted by their numbers of test records:

    score = sum_i n_i s_i / sum_i n_i                 (Rubungo et al., arXiv:2411.00177)

Every number stands beside the numbers of valid answers and of test records that it is from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from crystext.errors import InputError
from crystext.runtime.provenance import Provenance

FORMAT: Final = 1
"""Written into results; incremented when older code cannot read them."""

RESULTS_FILE, PAGE_FILE = "results.json", "report.html"


class FrozenModel(BaseModel):
    """A part of results: no unknown fields, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Score(FrozenModel):
    """A metric with its interval."""

    value: float | None
    """None where it is not defined, such as an AUC of one class; a note says why."""
    low: float | None = None
    high: float | None = None
    """The ends of the 95% bootstrap interval."""
    note: str = ""


class LeakCount(FrozenModel):
    """Test records whose composition or molecule stands in the training records."""

    count: int
    total: int
    by: str


class UnitResult(FrozenModel):
    """A task, a method and a fold."""

    task: str
    method: str
    fold: str
    n_train: int
    n_validation: int
    n_test: int
    n_valid: int
    """Test records with a valid answer."""
    leak: LeakCount
    seconds: float
    """Time of fitting and predicting; of a resumed unit, that of its last start."""
    metrics: dict[str, Score]


class TaskResult(FrozenModel):
    """A task and a method, over all folds: metrics are means over folds."""

    task: str
    dataset: str
    title: str
    unit: str
    kind: Literal["number", "boolean"]
    method: str
    metric: str
    """The primary metric."""
    n_folds: int
    n_test: int
    n_valid: int
    metrics: dict[str, Score]
    status: str = ""
    """`Inval.` if there are too few valid answers for a score; else empty."""
    failures: dict[str, int] = {}
    """Test records without a valid answer, by reason."""


class DatasetScore(FrozenModel):
    """A method's mean score over the tasks of one kind of a data set."""

    dataset: str
    kind: Literal["number", "boolean"]
    method: str
    metric: str
    score: Score
    n_tasks: int
    """Number of tasks averaged over."""
    n_tasks_of_suite: int
    """Number of tasks of this kind that the data set has."""
    n_test: int
    n_valid: int

    @property
    def is_complete(self) -> bool:
        """Whether every task of this kind has a score."""
        return self.n_tasks == self.n_tasks_of_suite


class FailedUnit(FrozenModel):
    """A unit without a result."""

    task: str
    method: str
    fold: str
    message: str


class BenchmarkResults(FrozenModel):
    """All results of a run."""

    format: int = FORMAT
    suite: str
    title: str
    input: str
    compat: str = ""
    min_valid: int
    options: dict[str, str]
    """What else the results depend on, in words."""
    methods: dict[str, str]
    """Titles by name."""
    datasets: dict[str, str]
    """Titles by name."""
    tasks: list[TaskResult]
    scores: list[DatasetScore]
    units: list[UnitResult]
    failed: list[FailedUnit] = []
    notes: list[str]
    provenance: Provenance

    def task_result(self, task: str, method: str) -> TaskResult | None:
        """Return the result of a task and a method."""
        return next((x for x in self.tasks if (x.task, x.method) == (task, method)), None)


def read_results(path: Path) -> BenchmarkResults:
    """Read `results.json`.

    Raises:
        InputError: it is missing, or something else.
    """
    try:
        return BenchmarkResults.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(
            f"{path} is not the results of a benchmark; expected what crystext benchmark writes"
        ) from None
