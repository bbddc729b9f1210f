"""Numbers as a page shows them."""

from __future__ import annotations

from crystext.evaluate.published import Column
from crystext.evaluate.report import Figure
from crystext.evaluate.words import without_sign_of_zero

NONE = "–"
"""Where there is no number."""


def plain(value: float | None) -> str:
    """Return a number with four significant digits, thousands parted."""
    if value is None:
        return NONE
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    # A difference of floats such as 1e-17 is nought on an axis.
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def percent(share: float) -> str:
    """Return a share in percent, with one digit, or with more where one would hide it."""
    # The upper end of an interval may miss 1 by a rounding.
    if 0 < share < 0.0005 or 0.9995 <= share < 1 - 1e-9:
        return f"{share:.2%}"
    return f"{share:.1%}"


def fixed(value: float | None, digits: int = 4) -> str:
    """Return a number with so many digits, whole numbers and large ones with fewer."""
    if value is None:
        return NONE
    if abs(value) >= 1000 or (value == int(value) and abs(value) > 1):
        return f"{value:,.0f}"
    return without_sign_of_zero(f"{value:.{digits}f}")


def interval(figure: Figure) -> str:
    """Return the ends of the 95% interval; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{fixed(figure.low)} to {fixed(figure.high)}"


def as_published(value: float | None, column: Column) -> str:
    """Return a published number; shares have three digits at least, of which YAML drops noughts."""
    if value is None:
        return NONE
    text = f"{value:g}"
    return f"{value:.3f}" if column.share and len(text) < len("0.123") else text


def whole(count: int | None) -> str:
    """Return a count, thousands parted; empty where there is none."""
    return "" if count is None else f"{count:,}"


def unit(text: str) -> str:
    """Return a unit as it is printed: cm³ for cm^3."""
    return text.replace("^2", "²").replace("^3", "³")


def drawn_of(figure: Figure) -> str:
    """Return the denominator where the figure shrinks as it grows; empty elsewhere."""
    different = figure.stage == "formulas" and figure.of is not None
    return f"of {figure.of:,}" if different else ""
