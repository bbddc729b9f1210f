"""Parity plots as coordinates of inline SVG: predicted over true values, with the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystext.benchmark.run import Unit
from crystext.evaluate.html.charts import Tick
from crystext.evaluate.html.numbers import format_number, format_unit
from crystext.structures.crystal import Floats

_SIZE = 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 10.0, 10.0, 40.0
_MAX_POINTS = 500
"""Points of a plot; of more test records a random part is shown."""
_EDGE = 0.005
"""Proportion of values beyond either end of the axes, so that a few do not hide the others."""


class ParityPlot(NamedTuple):
    """A scatter plot of a task and a method."""

    title: str
    description: str
    """For screen readers."""
    size: float
    frame: str
    diagonal: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    points: list[tuple[float, float]]
    x_label: str
    y_label: str
    label_x: float
    label_y: float
    caption: str


def parity_plot(units: Sequence[Unit]) -> ParityPlot | None:
    """Return the plot of a task and a method, all folds in one; None without two valid answers."""
    targets = np.concatenate([unit.targets for unit in units])
    values = np.concatenate([unit.values for unit in units])
    valid = np.isfinite(values)
    x, y = targets[valid], values[valid]
    if len(x) < 2 or units[0].target.kind == "boolean":
        return None
    low, high = _ends(np.concatenate([x, y]))
    inside = (x >= low) & (x <= high) & (y >= low) & (y <= high)
    chosen = np.flatnonzero(inside)
    if len(chosen) > _MAX_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, _MAX_POINTS, replace=False))
    target = units[0].target
    unit = f" ({format_unit(target.unit)})" if target.unit else ""
    left, bottom = _place_x(low, low, high), _place_y(low, low, high)
    right, top = _place_x(high, low, high), _place_y(high, low, high)
    outside = len(x) - int(inside.sum())
    caption = f"{len(chosen):,} of {len(targets):,} test records"
    caption += f"; outside the axes: {outside:,}" if outside else ""
    return ParityPlot(
        title=f"{units[0].task.name}, {units[0].method}",
        description=f"{target.title} predicted by {units[0].method} over true values, with the "
        "diagonal of right answers",
        size=_SIZE,
        frame=f"M{left:g} {top:g}V{bottom:g}H{right:g}",
        diagonal=f"M{left:g} {bottom:g}L{right:g} {top:g}",
        x_ticks=[
            Tick(f"M{_place_x(t, low, high):.4g} {bottom:g}v4", _place_x(t, low, high),
                 bottom + 16, format_number(t))
            for t in _ticks(low, high)
        ],
        y_ticks=[
            Tick(f"M{left:g} {_place_y(t, low, high):.4g}h-4", left - 7,
                 _place_y(t, low, high) + 4, format_number(t))
            for t in _ticks(low, high)
        ],
        points=[
            (round(_place_x(x[i], low, high), 1), round(_place_y(y[i], low, high), 1))
            for i in chosen.tolist()
        ],
        x_label=f"true {target.title}{unit}",
        y_label="predicted",
        label_x=(left + right) / 2,
        label_y=_SIZE - 6,
        caption=caption,
    )  # fmt: skip


def _ends(values: Floats) -> tuple[float, float]:
    low, high = (float(x) for x in np.quantile(values, (_EDGE, 1 - _EDGE)))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.04 or 0.5
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(t) for t in list(MaxNLocator(4).tick_values(low, high)) if low <= t <= high]


def _place_x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_SIZE - _LEFT - _RIGHT)


def _place_y(value: float, low: float, high: float) -> float:
    return _SIZE - _BOTTOM - (value - low) / (high - low) * (_SIZE - _TOP - _BOTTOM)
