"""Format numbers for files: six decimals of Å, degrees and fractions, without trailing zeros.

Six decimals of a coordinate are 1e-5 Å in a cell of 10 Å: far below the resolution of any potential
or experiment, and fine enough that every reader takes 0.333333 for 1/3.
"""

from __future__ import annotations

from crystext.text import COORDINATE_FORMATS, WYCKOFF

CIF_DECIMALS = 6
"""Decimals of a number in a CIF."""

_MAX_DECIMALS = 17
"""Decimals beyond which digits of a float do not matter here."""

_MAX_TEXT_DECIMALS = max(max(fmt.decimals) for fmt in (*COORDINATE_FORMATS, WYCKOFF))
"""Most decimals to which a text format of the package rounds."""


def format_decimal(value: float, decimals: int = CIF_DECIMALS) -> str:
    """Return a number in decimals, without exponent and without trailing zeros: 5.64, 90.0."""
    text = f"{value:.{decimals}f}".rstrip("0")
    if text[-1] == ".":
        text += "0"
    return "0.0" if text == "-0.0" else text


def format_text_decimal(value: float) -> str:
    """Return a number in six decimals, or in as many as the text of the crystal depends on.

    Rounding twice differs from rounding once: 0.12549996 is 0.125500 in six decimals, which rounds
    to 0.126; directly it rounds to 0.125. Such a number gets more decimals, so that a crystal has
    the same text after it is written and read.
    """
    places, text = CIF_DECIMALS, format_decimal(value)
    while _is_rounding_tie(text) and places < _MAX_DECIMALS and float(text) != value:
        places += 1
        text = format_decimal(value, places)
    return text


def _is_rounding_tie(text: str) -> bool:
    """Return whether the last digit alone decides how a text format rounds a number."""
    return text[-1] == "5" and len(text) - text.index(".") <= _MAX_TEXT_DECIMALS + 2
