"""A study: pretrained models (cells), fine-tuned several times (repeats) on several tasks.

Every fine-tuning of a cell on a task is a run, and each of its checkpoints, a pretraining epoch and
a fine-tuning epoch, has a validation loss and a metric. The arrays are dense, with nan where the
study has no value:

    C cells, R repeats, T tasks, K checkpoints of a run

A run counts by its checkpoint of least validation loss, as in the study of arXiv:2405.00949.

What goes wrong otherwise: the rows of a table look like so many measurements. They are not: the
repeats of one pretrained model share its luck, so that the cell is the unit of every interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from crystext.errors import SettingError, did_you_mean
from crystext.structures.crystal import Floats, Ints

LayoutName = Literal["crystext", "published"]

_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}

_SIZES = ("XS", "S", "M", "L", "XL")


class Cell(NamedTuple):
    """One pretraining: the unit of all intervals."""

    name: str
    labels: Mapping[str, str]
    """Its level of each factor, such as `{"architecture": "BART", "size": "S", "data": "10M"}`."""
    seed: int
    parameters: int | None
    """Number of parameters, where the study records it."""


class StudyTask(NamedTuple):
    """A task that cells are fine-tuned on."""

    name: str
    metric: str
    """Name of the metric, such as RMSE."""
    higher_is_better: bool


class Checkpoint(NamedTuple):
    """A state of a run."""

    pretraining_epoch: float
    epoch: float
    """Of fine-tuning."""


class LossCurve(NamedTuple):
    """Pretraining losses of a cell."""

    cell: str
    part: str
    """`train` or `validation`."""
    epochs: tuple[float, ...]
    losses: tuple[float, ...]


class SelectedRuns(NamedTuple):
    """The checkpoint of least validation loss of every run; the earliest of equal ones."""

    loss_CRT: Floats
    metric_CRT: Floats
    best_metric_CRT: Floats
    """The best metric of any checkpoint of the run, which a selection by loss cannot exceed."""


class Grouping(NamedTuple):
    """The cells divided by their levels of one or more factors."""

    by: tuple[str, ...]
    names: tuple[str, ...]
    """Of G groups."""
    group_C: Ints
    """Index of each cell's group."""
    stratum_C: Ints
    """Index of each cell's levels of all other factors: labels are permuted within these."""

    @property
    def title(self) -> str:
        """The factors by name."""
        return " x ".join(self.by)


@dataclass(frozen=True)
class Study:
    """All runs of a study."""

    source: str
    layout: LayoutName
    factors: Mapping[str, tuple[str, ...]]
    """Levels of each factor, in order."""
    cells: Sequence[Cell]
    tasks: Sequence[StudyTask]
    repeats: Sequence[int]
    checkpoints: Sequence[Checkpoint]
    loss_CRTK: Floats
    metric_CRTK: Floats
    n_rows: int
    n_not_finite: int
    """Rows whose loss or metric is not finite; they cannot be selected."""
    pretraining_losses: Sequence[LossCurve] = ()

    @cached_property
    def selected(self) -> SelectedRuns:
        """The checkpoint that counts of every run, nan for runs that the study lacks."""
        loss = np.where(np.isfinite(self.metric_CRTK), self.loss_CRTK, np.nan)
        missing = ~np.isfinite(loss).any(axis=-1)
        index = np.where(np.isfinite(loss), loss, np.inf).argmin(axis=-1)[..., None]
        sign = self.sign_T[:, None]
        best = np.where(np.isfinite(loss), sign * self.metric_CRTK, np.inf).min(axis=-1)
        return SelectedRuns(
            np.where(missing, np.nan, np.take_along_axis(loss, index, -1)[..., 0]),
            np.where(missing, np.nan, np.take_along_axis(self.metric_CRTK, index, -1)[..., 0]),
            np.where(missing, np.nan, self.sign_T * best),
        )

    @cached_property
    def sign_T(self) -> Floats:
        """1 where lower metrics are better, -1 where higher ones are."""
        return np.array([-1.0 if task.higher_is_better else 1.0 for task in self.tasks])

    @property
    def n_runs(self) -> int:
        """Number of runs that have a checkpoint."""
        return int(np.isfinite(self.selected.metric_CRT).sum())

    def group(self, by: Sequence[str]) -> Grouping:
        """Divide the cells by one or more factors.

        Raises:
            SettingError: there is no such factor, or it is given twice.
        """
        for name in by:
            if name not in self.factors:
                raise SettingError(
                    f"the study has no factor {name!r}; it has {', '.join(self.factors)}."
                    + did_you_mean(name, self.factors)
                )
        if not by or len(set(by)) < len(by):
            raise SettingError(f"--by {','.join(by)}: expected factors, each once")
        others = [name for name in self.factors if name not in by]
        keys = [tuple(cell.labels[name] for name in by) for cell in self.cells]
        strata = [tuple(cell.labels[name] for name in others) for cell in self.cells]
        present = sorted(
            set(keys),
            key=lambda key: [self.factors[f].index(x) for f, x in zip(by, key, strict=True)],
        )
        seen = list(dict.fromkeys(strata))
        return Grouping(
            tuple(by),
            tuple(" ".join(key) for key in present),
            np.array([present.index(key) for key in keys]),
            np.array([seen.index(key) for key in strata]),
        )


def level_value(level: str) -> float | None:
    """Return the number that a level states: 10,000,000 for `10M`; None if it states none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmb]?)", level.strip().lower())
    return None if match is None else float(match[1]) * _SUFFIXES[match[2]]


def ordered_levels(levels: Sequence[str]) -> tuple[str, ...]:
    """Return different levels in order: by number, sizes from XS to XL, else as they come."""
    distinct = list(dict.fromkeys(levels))
    values = {level: level_value(level) for level in distinct}
    if all(value is not None for value in values.values()):
        return tuple(sorted(distinct, key=lambda level: values[level] or 0.0))
    if set(distinct) <= set(_SIZES):
        return tuple(sorted(distinct, key=_SIZES.index))
    return tuple(distinct)
