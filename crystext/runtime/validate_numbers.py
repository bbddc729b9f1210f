"""Validate numbers given by programs: convert them to plain ones, or refuse them early."""

from __future__ import annotations

import operator
import reprlib
from numbers import Real
from typing import Any

from crystext.errors import SettingError


def short_repr(value: Any) -> str:
    """Return a short representation of a value for messages; NumPy's numbers as plain Python's."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return reprlib.repr(plain)


def describe_type(value: Any) -> str:
    """Return the type of a value for messages: `None`, or an article and the type's name."""
    name = type(value).__name__
    article = "an" if name[:1].upper() in "AEIOU" else "a"
    return "None" if value is None else f"{article} {name}"


def whole_number(name: str, value: Any) -> int:
    """Return a whole number of any type, including NumPy's and 8.0, as a plain int.

    Args:
        name: what it is, for the message.
        value: the value given.

    Raises:
        SettingError: it is something else; a text is not a number.
    """
    if not isinstance(value, bool):
        try:
            return int(operator.index(value))
        except TypeError:
            # Table columns with missing values hold whole numbers as floats.
            if isinstance(value, Real) and float(value).is_integer():
                return int(float(value))
    raise SettingError(f"{name} is {short_repr(value)}; expected a whole number")


def real_number(name: str, value: Any) -> float:
    """Return a number of any type as a plain float.

    Args:
        name: what it is, for the message.
        value: the value given.

    Raises:
        SettingError: it is something else; a text is not a number.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise SettingError(f"{name} is {short_repr(value)}; expected a number")
