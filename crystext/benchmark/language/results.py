"""The results of a benchmark in words: the schema of its `results.json`.

Every measure is over all questions of a task, invalid answers included; the number of answers that
could be read stands beside it. Scores of the published code, with its quirks, stand apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from crystext.benchmark.results import FrozenModel, Score
from crystext.errors import InputError
from crystext.runtime.provenance import Provenance

FORMAT: Final = 1
"""Written into results; incremented when older code cannot read them."""


class MeasureInfo(FrozenModel):
    """A measure of a task, for tables."""

    title: str
    unit: str = ""
    higher_is_better: bool = True


class QuestionTaskResult(FrozenModel):
    """A task and a method."""

    task: str
    title: str
    method: str
    n: int
    """Questions."""
    n_valid: int
    """Answers that could be read; the others count as wrong."""
    measures: dict[str, Score]
    """By name; the first is the one that tables show."""
    compat: dict[str, float | None] = Field(default_factory=dict)
    """Scores as the published code computes them; None where it gives none."""
    problems: dict[str, int] = Field(default_factory=dict)
    """Invalid answers by reason, the most frequent first."""
    seconds: float


class MeanScore(FrozenModel):
    """A measure of a method, averaged over the tasks that have it."""

    method: str
    measure: str
    score: Score
    compat: float | None = None
    """The mean of the published code's scores of the same name."""
    n_tasks: int
    n_tasks_of_suite: int
    """Number of tasks of the suite that have the measure."""


class FailedQuestions(FrozenModel):
    """A task that a method has not answered, and why."""

    task: str
    method: str
    message: str


class QuestionResults(FrozenModel):
    """All results of a run."""

    format: int = FORMAT
    kind: Literal["questions"] = "questions"
    suite: str
    title: str
    licence: str = ""
    compat: str = ""
    """Name of the published code whose scores stand beside ours; empty if there is none."""
    is_compat: bool = False
    """Whether the questions and the decoding were those of that code, too."""
    options: dict[str, str]
    """What else the results depend on, in words."""
    methods: dict[str, str]
    """Titles by name."""
    measures: dict[str, dict[str, MeasureInfo]]
    """Of each task."""
    tasks: list[QuestionTaskResult]
    means: list[MeanScore]
    failed: list[FailedQuestions]
    notes: list[str]
    provenance: Provenance

    def task_result(self, task: str, method: str) -> QuestionTaskResult | None:
        """Return the result of a task and a method; None if there is none."""
        return next((x for x in self.tasks if (x.task, x.method) == (task, method)), None)

    def mean(self, measure: str, method: str) -> MeanScore | None:
        """Return a method's mean of a measure; None if there is none."""
        return next((x for x in self.means if (x.measure, x.method) == (measure, method)), None)


def read_question_results(path: Path) -> QuestionResults:
    """Read `results.json` of a benchmark in words.

    Raises:
        InputError: it is missing, or something else.
    """
    try:
        return QuestionResults.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(
            f"{path} is not the results of a benchmark in words; expected what crystext benchmark "
            "writes for such a suite"
        ) from None
