"""Numbers as programs give them: made plain ones, or refused before anything is done with them."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

from crystext.errors import SettingError


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
    raise SettingError(f"{name} is {value!r}; expected a whole number")


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
    raise SettingError(f"{name} is {value!r}; expected a number")
