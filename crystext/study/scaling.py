"""How the metric changes with a factor that has a scale, such as size or amount of data.

A point is the mean over the cells at one level, with Student's interval over the cells; with fewer
than three cells there is none, since it would span the figure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crystext.metrics.intervals import mean_interval
from crystext.study.finite_values import finite_mean
from crystext.study.study_data import Study, level_value

SCALED_FACTORS = ("size", "data")
"""Factors that have a scale even if their levels are names, such as S and M."""

_MIN_CELLS = 3
"""Cells that an interval needs."""

ALL = "all"
"""Name of the line over all groups."""


class ScalingPoint(NamedTuple):
    """The mean metric at one level."""

    level: str
    value: float
    """Of the level on its axis: the number that it states, else the mean number of parameters of
    its cells, else its place in the order."""
    mean: float
    low: float
    high: float
    n_cells: int


class ScalingCurve(NamedTuple):
    """The metric of a task against a factor."""

    factor: str
    task: str
    group: str
    """A level of `by`, or `all`."""
    points: tuple[ScalingPoint, ...]


def scaled_factors(study: Study) -> list[str]:
    """Return the factors with a scale and two levels or more."""
    return [
        name
        for name, levels in study.factors.items()
        if len(levels) > 1
        and (name in SCALED_FACTORS or all(level_value(level) is not None for level in levels))
    ]


def scaling_curves(study: Study, by: str | None = None) -> list[ScalingCurve]:
    """Return the curves of every task against every factor with a scale.

    Args:
        study: of any design.
        by: a factor with a line of its own for each level, beside the line of all cells; by default
            `architecture`, if the study has it.
    """
    by = by or ("architecture" if "architecture" in study.factors else None)
    cell_means = finite_mean(study.selected.metric_CRT, axis=1)
    curves = []
    for factor in scaled_factors(study):
        groups = [ALL, *(study.factors[by] if by is not None and by != factor else ())]
        values = _axis_values(study, factor)
        for index, task in enumerate(study.tasks):
            for group in groups:
                points = []
                for level in study.factors[factor]:
                    chosen = [
                        float(mean)
                        for cell, mean in zip(study.cells, cell_means[:, index], strict=True)
                        if cell.labels[factor] == level
                        and (group == ALL or cell.labels[str(by)] == group)
                        and math.isfinite(mean)
                    ]
                    if chosen:
                        points.append(_point(level, values[level], chosen))
                curves.append(ScalingCurve(factor, task.name, group, tuple(points)))
    return curves


def _point(level: str, value: float, means: list[float]) -> ScalingPoint:
    found = mean_interval(means)
    if found.n < _MIN_CELLS:
        return ScalingPoint(level, value, found.value, math.nan, math.nan, found.n)
    return ScalingPoint(level, value, *found)


def _axis_values(study: Study, factor: str) -> dict[str, float]:
    levels = study.factors[factor]
    stated = {level: level_value(level) for level in levels}
    if all(value is not None for value in stated.values()):
        return {level: value for level, value in stated.items() if value is not None}
    counts = {
        level: [c.parameters for c in study.cells if c.labels[factor] == level] for level in levels
    }
    if factor == "size" and all(None not in found for found in counts.values()):
        return {level: float(np.mean([x or 0 for x in counts[level]])) for level in levels}
    return {level: float(i) for i, level in enumerate(levels)}
