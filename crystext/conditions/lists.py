"""Lists and ranges in the values of conditions, as people and tables write them."""

from __future__ import annotations

import re
from typing import Any

from crystext.errors import SettingError
from crystext.runtime.validate_numbers import whole_number


def split_words(value: Any) -> list[str] | None:
    """Return the words of a text or of several texts; None if the value is neither.

    Args:
        value: words separated by commas, semicolons or spaces, or a list of such texts.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple | set | frozenset):
        return None
    return [word for text in texts for word in re.split(r"[,;\s]+", str(text)) if word]


def parse_range(value: Any) -> tuple[int, int] | None:
    """Return the ends of a range of whole numbers in the order given, or None if it is none.

    Args:
        value: 8, "8", "8-20" or (8, 20).
    """
    if isinstance(value, str):
        value = re.split(r"\s*[-–,]\s*", value)
    ends = list(value) if isinstance(value, tuple | list) else [value]
    if len(ends) not in (1, 2):
        return None
    try:
        numbers = [whole_number("it", float(x) if isinstance(x, str) else x) for x in ends]
    except (SettingError, ValueError):
        return None
    return None if min(numbers) < 0 else (numbers[0], numbers[-1])


def format_range(ends: tuple[int, int]) -> str:
    """Return a range as `parse_range` reads it: 8, or 8-20."""
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
