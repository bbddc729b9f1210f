"""Numbers in sentences."""

from __future__ import annotations


def without_sign_of_zero(text: str) -> str:
    """Return a number as it is written, and 0.000 for -0.000."""
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
