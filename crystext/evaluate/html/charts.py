"""Bars and histograms as inline SVG: small, sharp in print, and coloured by the page's style.

Each chart stands in or beside a table with the same numbers, so none of them is needed to read the
page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from crystext.evaluate.html.markup import Child, details, table, tag, titled_svg
from crystext.evaluate.html.numbers import format_number, format_percent
from crystext.evaluate.html.numbers import format_unit as printed_unit
from crystext.evaluate.report import Histogram

_ToCoordinate = Callable[[float], float]
"""From a value to a coordinate of the drawing."""

_WIDTH, _HEIGHT = 400.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 10.0, 40.0
"""Margins of a histogram, for its axes."""


def bar_chart(
    proportion: float,
    *,
    inner: float | None = None,
    interval: tuple[float, float] | None = None,
    reference: float | None = None,
    full_width: float = 1.0,
) -> Element:
    """Return a bar to stand in a table's cell, beside the number that it draws.

    Args:
        proportion: its length.
        inner: the length of a part of it, drawn darker.
        interval: ends of the whisker at its end.
        reference: where a mark stands for comparison.
        full_width: the share that fills the width.
    """

    def place(value: float) -> float:
        return 100 * min(max(value / full_width, 0.0), 1.0)

    parts: list[Element] = [
        tag("rect", class_="track", width="100", height="12"),
        tag("rect", class_="drawn", width=place(proportion), height="12"),
    ]
    if inner is not None:
        parts.append(tag("rect", class_="inner", width=place(inner), height="5", y="7"))
    if interval is not None:
        low, high = map(place, interval)
        parts.append(
            tag("rect", class_="whisker", x=low, width=max(high - low, 0.4), y="2.5", height="2")
        )
    if reference is not None:
        parts.append(
            tag("rect", class_="mark", x=max(place(reference) - 0.5, 0.0), width="1", height="12")
        )
    # The number stands in the next cell: to a screen reader the bar would only repeat it.
    return tag(
        "svg", *parts, class_="bar", viewBox="0 0 100 12", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip


def histogram_chart(histogram: Histogram) -> Element:
    """Return a histogram as shares of each set, the reference as a line, its table behind it."""
    drawn = _proportions(histogram.counts)
    known = None if histogram.reference_counts is None else _proportions(histogram.reference_counts)
    top = max([*drawn, *(known or []), 1e-9]) * 1.05
    low, high = histogram.edges[0], histogram.edges[-1]

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(share: float) -> float:
        return _HEIGHT - _BOTTOM - share / top * (_HEIGHT - _TOP - _BOTTOM)

    shapes: list[Child] = [*_axes(histogram, x, y, top)]
    for (left, right), share in zip(pairwise(histogram.edges), drawn, strict=True):
        if share:
            gap = min(0.6, (x(right) - x(left)) / 8)
            shapes.append(
                tag(
                    "rect",
                    class_="drawn",
                    x=x(left) + gap,
                    y=y(share),
                    width=x(right) - x(left) - 2 * gap,
                    height=y(0) - y(share),
                )
            )
    if known is not None:
        shapes.append(tag("path", class_="reference", d=_step_path(histogram.edges, known, x, y)))
    unit = f" ({printed_unit(histogram.unit)})" if histogram.unit else ""
    shapes.append(
        tag("text", histogram.title + unit, class_="label", x=(_LEFT + _WIDTH) / 2, y=_HEIGHT - 6)
    )
    against = "" if known is None else ", with the reference as a line"
    title = f"Histogram of {histogram.title}{unit} of what was drawn{against}"
    return tag(
        "figure",
        titled_svg(_WIDTH, _HEIGHT, title, *shapes),
        details("Numbers", _bin_table(histogram, unit)),
    )


def _axes(histogram: Histogram, x: _ToCoordinate, y: _ToCoordinate, top: float) -> list[Element]:
    from matplotlib.ticker import MaxNLocator

    low, high = histogram.edges[0], histogram.edges[-1]
    # Bins about whole numbers are of something that is counted.
    counted = all((edge + 0.5).is_integer() for edge in histogram.edges)
    base = y(0)
    parts = [tag("path", class_="axis", d=f"M{_LEFT:g} {base:g}H{_WIDTH - _RIGHT:g}")]
    for value in list(MaxNLocator(5, integer=counted).tick_values(low, high)):
        if low <= value <= high:
            parts.append(tag("path", class_="axis", d=f"M{x(value):.4g} {base:g}v4"))
            parts.append(tag("text", format_number(value), class_="tick", x=x(value), y=base + 16))
    for value in list(MaxNLocator(3).tick_values(0, top)):
        if 0 < value <= top:
            d = f"M{_LEFT:g} {y(value):.5g}H{_WIDTH - _RIGHT:g}"
            parts.append(tag("path", class_="grid", d=d))
            parts.append(
                tag("text", f"{format_number(100 * value)}%", class_="tick end", x=_LEFT - 4,
                    y=y(value) + 4)
            )  # fmt: skip
    return parts


def _step_path(
    edges: Sequence[float], proportions: Sequence[float], x: _ToCoordinate, y: _ToCoordinate
) -> str:
    path = f"M{x(edges[0]):.5g} {y(0):.5g}"
    for right, share in zip(edges[1:], proportions, strict=True):
        path += f"V{y(share):.5g}H{x(right):.5g}"
    return path + f"V{y(0):.5g}"


def _bin_table(histogram: Histogram, unit: str) -> Element:
    known = histogram.reference_counts
    header: list[Child] = [f"from{unit}", "to", "drawn", "share"]
    rows: list[list[Child]] = []
    drawn = _proportions(histogram.counts)
    reference = None if known is None else _proportions(known)
    for i, (left, right) in enumerate(pairwise(histogram.edges)):
        row: list[Child] = [
            format_number(left),
            format_number(right),
            f"{histogram.counts[i]:,}",
            format_percent(drawn[i]),
        ]
        if known is not None and reference is not None:
            row += [f"{known[i]:,}", format_percent(reference[i])]
        rows.append(row)
    if known is not None:
        header += ["reference", "share"]
    return table(f"{histogram.title}: counts of each bin", header, rows)


def _proportions(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) or 1
    return [count / whole for count in counts]
