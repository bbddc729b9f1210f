"""Numbers and formulas in sentences."""

from __future__ import annotations


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where there is not just one: 1,200 crystals."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def without_sign_of_zero(text: str) -> str:
    """Return a number as it is written, and 0.000 for -0.000."""
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
