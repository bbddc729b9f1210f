"""Numbers as a page shows them."""

from __future__ import annotations

from crystext.evaluate.published import PublishedColumn
from crystext.evaluate.report import MetricValue
from crystext.runtime.wording import without_sign_of_zero

MISSING = "–"
"""Placeholder for a missing number."""


def format_number(value: float | None) -> str:
    """Return a number with four significant digits and thousands separators."""
    if value is None:
        return MISSING
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    # A difference of floats such as 1e-17 is 0 on an axis.
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def format_percent(proportion: float) -> str:
    """Return a proportion in percent, with one decimal, or two for small values."""
    # The upper end of an interval may differ from 1 by a rounding error.
    if 0 < proportion < 0.0005 or 0.9995 <= proportion < 1 - 1e-9:
        return f"{proportion:.2%}"
    return f"{proportion:.1%}"


def format_fixed(value: float | None, digits: int = 4) -> str:
    """Return a number with this many digits; integers and large numbers have fewer."""
    if value is None:
        return MISSING
    if abs(value) >= 1000 or (value == int(value) and abs(value) > 1):
        return f"{value:,.0f}"
    return without_sign_of_zero(f"{value:.{digits}f}")


def format_interval(metric: MetricValue) -> str:
    """Return the ends of the 95% interval; empty where there is none."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{format_fixed(metric.low)} to {format_fixed(metric.high)}"


def format_published(value: float | None, column: PublishedColumn) -> str:
    """Return a published number; proportions have three digits at least, as YAML drops zeros."""
    if value is None:
        return MISSING
    text = f"{value:g}"
    return f"{value:.3f}" if column.share and len(text) < len("0.123") else text


def format_integer(count: int | None) -> str:
    """Return a count with thousands separators; empty if there is none."""
    return "" if count is None else f"{count:,}"


def format_unit(text: str) -> str:
    """Return a unit as it is printed: cm³ for cm^3."""
    return text.replace("^2", "²").replace("^3", "³")


def denominator_text(metric: MetricValue) -> str:
    """Return the denominator if the value decreases with it; else empty."""
    different = metric.stage == "formulas" and metric.total is not None
    return f"of {metric.total:,}" if different else ""
