"""Numbers as programs give them: made plain ones, or refused before anything is done with them."""

from __future__ import annotations

import operator
import reprlib
from numbers import Real
from typing import Any

from crystext.errors import SettingError


def short_repr(value: Any) -> str:
    """Return how a value is written in a message: shortly, and NumPy's as plain Python's."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return reprlib.repr(plain)


def describe_type(value: Any) -> str:
    """Return what a value is, for a message: `None`, or an article and the name of its type."""
    name = type(value).__name__
    article = "an" if name[:1].upper() in "AEIOU" else "a"
    return "None" if value is None else f"{article} {name}"


def whole_number(name: str, value: Any) -> int:
    """Return a whole number of any type, NumPy's or 8.0 included, as a plain one.

    Args:
        name: what it is, for the message.
        value: what was given.

    Raises:
        SettingError: it is something else; a text is no number.
    """
    if not isinstance(value, bool):
        try:
            return int(operator.index(value))
        except TypeError:
            # Columns of a table that lack values somewhere hold whole numbers as floats.
            if isinstance(value, Real) and float(value).is_integer():
                return int(float(value))
    raise SettingError(f"{name} is {short_repr(value)}; expected a whole number")


def real_number(name: str, value: Any) -> float:
    """Return a number of any type as a plain float.

    Args:
        name: what it is, for the message.
        value: what was given.

    Raises:
        SettingError: it is something else; a text is no number.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise SettingError(f"{name} is {short_repr(value)}; expected a number")
