"""The report of a study: the schema of `study.json`.

A number that does not exist, such as the interval of a single value, is null. Standard errors are
by cells, one pretraining each, and beside them by rows.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from crystext.runtime.provenance import Provenance
from crystext.study.study_data import LayoutName

FORMAT: Final = 1
"""Written into reports; incremented when older code cannot read them."""

REPORT_FILE, PAGE_FILE = "study.json", "report.html"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Part):
    """A number with the ends of its 95% interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


class TaskMean(_Part):
    """The mean metric of a group on a task."""

    task: str
    mean: float
    cell_error: float | None
    row_error: float | None
    """Standard errors: by cells, and by rows as if repeats were independent."""
    n_cells: int
    n_runs: int
    is_best: bool


class GroupResult(_Part):
    """A group of cells."""

    name: str
    tes: Interval
    """Total error score; its interval is of the cluster bootstrap."""
    p_best: float
    """Proportion of bootstrap samples, over cells and repeats, in which it has the least score."""
    p_best_repeats: float
    """The same over repeats alone."""
    n_cells: int
    tasks: list[TaskMean]


class GroupingResult(_Part):
    """The groups by one or more factors, compared."""

    by: list[str]
    groups: list[GroupResult]
    p_spread: float | None
    p_least: float | None
    """Of the permutation test (see `significance`); null where there is none."""
    n_permutations: int
    is_exact: bool
    smallest_p: float | None
    """The least `p_spread` that this design could give."""

    @property
    def title(self) -> str:
        """The factors by name."""
        return " x ".join(self.by)

    @property
    def leader(self) -> GroupResult:
        """The group of least total error score."""
        return min(self.groups, key=lambda group: group.tes.value or 0.0)


class TaskResult(_Part):
    """What loss and metric of a task say about each other."""

    task: str
    metric: str
    better: Literal["lower", "higher"]
    between: Interval
    """Spearman's correlation of loss and metric between the selected runs."""
    within: Interval
    """Its median over runs, each over its checkpoints."""
    n_runs: int
    n_runs_within: int
    n_lower_loss_helps: int
    """Of `n_runs_within`, those in which a lower loss goes with a better metric."""
    range_ratio: float | None
    """Standard deviation of the loss between selected runs over its median within a run."""
    selected: Interval
    """Mean metric of the checkpoints of least loss."""
    best: Interval
    """Mean of each run's best metric, chosen on the test records themselves."""
    cost: Interval
    """How much worse the selected one is."""


class ScalingLevel(_Part):
    """The mean metric at one level of a factor."""

    level: str
    value: float
    """On the axis."""
    mean: Interval
    n_cells: int


class ScalingResult(_Part):
    """The metric of a task against a factor."""

    factor: str
    task: str
    group: str
    points: list[ScalingLevel]


class LossCurveResult(_Part):
    """Pretraining losses of a cell."""

    cell: str
    part: str
    epochs: list[float]
    losses: list[float]


class CheckpointCurve(_Part):
    """What each checkpoint of a cell has on a task, in the mean over repeats."""

    cell: str
    task: str
    losses: list[float | None]
    """Of validation, in the order of `StudyReport.checkpoints`."""
    metrics: list[float | None]
    """Of the test records."""


class StudyReport(_Part):
    """All that is reported of a study."""

    format: int = FORMAT
    source: str
    layout: LayoutName
    factors: dict[str, list[str]]
    n_cells: int
    n_repeats: int
    n_checkpoints: int
    """Of a run, at most."""
    n_rows: int
    n_not_finite: int
    """Rows without a finite loss and metric; they cannot be selected."""
    n_runs: int
    n_runs_of_design: int
    """Cells times repeats times tasks."""
    n_combinations: int
    """Combinations of levels that have a cell."""
    summary: list[str]
    groupings: list[GroupingResult]
    tasks: list[TaskResult]
    scaling: list[ScalingResult]
    pretraining_losses: list[LossCurveResult]
    checkpoints: list[tuple[float, float]]
    """Epoch of pretraining and of fine-tuning."""
    checkpoint_curves: list[CheckpointCurve]
    notes: list[str]
    options: dict[str, int]
    provenance: Provenance


def interval(value: float, low: float = math.nan, high: float = math.nan) -> Interval:
    """Return numbers as the schema has them: null for what is not finite."""
    return Interval(value=optional(value), low=optional(low), high=optional(high))


def optional(value: float) -> float | None:
    """Return a finite number as it is, and None for another."""
    return float(value) if math.isfinite(value) else None
