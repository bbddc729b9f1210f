"""Renamed keywords: an error message that gives the new name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from crystext.errors import SettingError

P = ParamSpec("P")
R = TypeVar("R")


def refuse_old_keywords(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that refuses the old keywords of a function by naming the new ones.

    Args:
        **new_names: the new keyword for each old one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in new_names.keys() & kwargs.keys():
                raise SettingError(
                    f"the keyword {old} is called {new_names[old]} now; write "
                    f"{new_names[old]}={kwargs[old]!r}"
                )
            return function(*args, **kwargs)

        return checked

    return decorate
