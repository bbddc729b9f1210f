"""The result of a parser: a crystal, and notes on assumptions made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from crystext.errors import ReadingWarning
from crystext.structures.crystal import Crystal


class Reading(NamedTuple):
    """A crystal from a parser, with notes on assumptions made."""

    crystal: Crystal
    notes: tuple[str, ...] = ()


def read_with_notes(make: Callable[..., Crystal], *arguments: Any) -> Reading:
    """Call a function that returns a crystal, and turn its `ReadingWarning`s into notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ReadingWarning)
        crystal = make(*arguments)
    return Reading(crystal, tuple(str(warning.message) for warning in caught))
