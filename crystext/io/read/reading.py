"""What a parser returns: a crystal, and notes on what is only probable about it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from crystext.errors import ReadingWarning
from crystext.structures.crystal import Crystal


class Reading(NamedTuple):
    """A crystal that a parser found, with what is only probable about it."""

    crystal: Crystal
    notes: tuple[str, ...] = ()


def read_with_notes(make: Callable[..., Crystal], *arguments: Any) -> Reading:
    """Return what a function makes of its arguments, with its `ReadingWarning`s as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ReadingWarning)
        crystal = make(*arguments)
    return Reading(crystal, tuple(str(warning.message) for warning in caught))
