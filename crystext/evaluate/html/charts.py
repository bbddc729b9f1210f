"""Bars and histograms as coordinates of inline SVG, which templates draw.

They are small, sharp in print, and coloured by the page's style. Each chart stands in or beside a
table with the same numbers, so none of them is needed to read the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from crystext.evaluate.html.numbers import format_number, format_percent, format_unit
from crystext.evaluate.report import Histogram

_ToCoordinate = Callable[[float], float]
"""From a value to a coordinate of the drawing."""

_WIDTH, _HEIGHT = 400.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 10.0, 40.0
"""Margins of a histogram, for its axes."""


class Rectangle(NamedTuple):
    """A rectangle of a drawing."""

    kind: str
    """Its class in the page's style."""
    x: float
    y: float
    width: float
    height: float


class Bar(NamedTuple):
    """A bar 100 wide and 12 high, in a table's cell beside the number that it draws."""

    rectangles: list[Rectangle]


class Tick(NamedTuple):
    """A tick of an axis: its line, its text and where that stands."""

    path: str
    x: float
    y: float
    text: str


class HistogramChart(NamedTuple):
    """A histogram as proportions of each set, the reference as a line, with its numbers."""

    title: str
    description: str
    """The description for screen readers."""
    width: float
    height: float
    axis: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    rectangles: list[Rectangle]
    reference: str | None
    """The line of the reference."""
    label: str
    label_x: float
    label_y: float
    header: list[str]
    rows: list[list[str]]


def bar_chart(
    proportion: float,
    *,
    inner: float | None = None,
    interval: tuple[float, float] | None = None,
    reference: float | None = None,
    full_width: float = 1.0,
) -> Bar:
    """Return a bar.

    Args:
        proportion: its length.
        inner: the length of a part of it, drawn darker.
        interval: ends of the whisker at its end.
        reference: position of a mark for comparison.
        full_width: the proportion that fills the width.
    """

    def place(value: float) -> float:
        return 100 * min(max(value / full_width, 0.0), 1.0)

    parts = [
        Rectangle("track", 0, 0, 100, 12),
        Rectangle("drawn", 0, 0, place(proportion), 12),
    ]
    if inner is not None:
        parts.append(Rectangle("inner", 0, 7, place(inner), 5))
    if interval is not None:
        low, high = map(place, interval)
        parts.append(Rectangle("whisker", low, 2.5, max(high - low, 0.4), 2))
    if reference is not None:
        parts.append(Rectangle("mark", max(place(reference) - 0.5, 0.0), 0, 1, 12))
    return Bar(parts)


def histogram_chart(histogram: Histogram) -> HistogramChart:
    """Return the drawing of a histogram."""
    drawn = _proportions(histogram.counts)
    known = None if histogram.reference_counts is None else _proportions(histogram.reference_counts)
    top = max([*drawn, *(known or []), 1e-9]) * 1.05
    low, high = histogram.edges[0], histogram.edges[-1]

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(proportion: float) -> float:
        return _HEIGHT - _BOTTOM - proportion / top * (_HEIGHT - _TOP - _BOTTOM)

    bins = []
    for (left, right), proportion in zip(pairwise(histogram.edges), drawn, strict=True):
        if proportion:
            gap = min(0.6, (x(right) - x(left)) / 8)
            width, height = x(right) - x(left) - 2 * gap, y(0) - y(proportion)
            bins.append(Rectangle("drawn", x(left) + gap, y(proportion), width, height))
    unit = f" ({format_unit(histogram.unit)})" if histogram.unit else ""
    against = "" if known is None else ", with the reference as a line"
    header = [f"from{unit}", "to", "samples", "proportion"]
    return HistogramChart(
        title=histogram.title,
        description=f"Histogram of {histogram.title}{unit} of the samples{against}",
        width=_WIDTH,
        height=_HEIGHT,
        axis=f"M{_LEFT:g} {y(0):g}H{_WIDTH - _RIGHT:g}",
        x_ticks=_x_ticks(histogram, x, y(0)),
        y_ticks=_y_ticks(y, top),
        rectangles=bins,
        reference=None if known is None else _step_path(histogram.edges, known, x, y),
        label=histogram.title + unit,
        label_x=(_LEFT + _WIDTH) / 2,
        label_y=_HEIGHT - 6,
        header=header if known is None else [*header, "reference", "proportion"],
        rows=_bin_rows(histogram, drawn, known),
    )


def _x_ticks(histogram: Histogram, x: _ToCoordinate, base: float) -> list[Tick]:
    from matplotlib.ticker import MaxNLocator

    low, high = histogram.edges[0], histogram.edges[-1]
    # Bins around integers belong to counts.
    counted = all((edge + 0.5).is_integer() for edge in histogram.edges)
    return [
        Tick(f"M{x(value):.4g} {base:g}v4", x(value), base + 16, format_number(value))
        for value in list(MaxNLocator(5, integer=counted).tick_values(low, high))
        if low <= value <= high
    ]


def _y_ticks(y: _ToCoordinate, top: float) -> list[Tick]:
    from matplotlib.ticker import MaxNLocator

    return [
        Tick(
            f"M{_LEFT:g} {y(value):.5g}H{_WIDTH - _RIGHT:g}",
            _LEFT - 4,
            y(value) + 4,
            f"{format_number(100 * value)}%",
        )
        for value in list(MaxNLocator(3).tick_values(0, top))
        if 0 < value <= top
    ]


def _step_path(
    edges: Sequence[float], proportions: Sequence[float], x: _ToCoordinate, y: _ToCoordinate
) -> str:
    path = f"M{x(edges[0]):.5g} {y(0):.5g}"
    for right, proportion in zip(edges[1:], proportions, strict=True):
        path += f"V{y(proportion):.5g}H{x(right):.5g}"
    return path + f"V{y(0):.5g}"


def _bin_rows(
    histogram: Histogram, samples: Sequence[float], reference: Sequence[float] | None
) -> list[list[str]]:
    rows = []
    for i, (left, right) in enumerate(pairwise(histogram.edges)):
        row = [format_number(left), format_number(right)]
        row += [f"{histogram.counts[i]:,}", format_percent(samples[i])]
        if reference is not None and histogram.reference_counts is not None:
            row += [f"{histogram.reference_counts[i]:,}", format_percent(reference[i])]
        rows.append(row)
    return rows


def _proportions(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) or 1
    return [count / whole for count in counts]
