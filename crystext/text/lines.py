"""Lines of texts: numbers, triples of numbers, elements, numbers of space groups."""

from __future__ import annotations

import re
from typing import NamedTuple

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS


class NumberedLine(NamedTuple):
    """A line of a text, and its line number."""

    number: int
    text: str


_NUMBER = r"[0-9]{1,4}(?:\.[0-9]{1,12})?"
TRIPLE_PATTERN = re.compile(rf"{_NUMBER} {_NUMBER} {_NUMBER}")
"""A line of three numbers."""
TRIPLE_START = re.compile(rf"(?:{_NUMBER} ){{0,2}}(?:[0-9]{{1,4}}(?:\.[0-9]{{0,12}})?)?")
"""A line of three numbers, possibly truncated."""
DIGITS = r"[0-9]{1,3}(?:\.[0-9]{1,12})?"
NUMBER_PATTERN = re.compile(DIGITS)
"""A coordinate or a cell parameter of the Wyckoff format."""
SYMBOL_STARTS = {symbol[:1] for symbol in SYMBOLS} | {""}
"""Matches the line of an element, possibly truncated."""
SPACE_GROUP_PATTERN = re.compile(r"[1-9][0-9]{0,2}")


def parse_triple(line: str) -> list[float] | None:
    """Return three numbers in the strict form; None if the line holds anything else."""
    return [float(x) for x in line.split(" ")] if TRIPLE_PATTERN.fullmatch(line) else None


def is_space_group_line(line: str) -> bool:
    """Return whether a line is the number of a space group."""
    return bool(SPACE_GROUP_PATTERN.fullmatch(line)) and int(line) <= N_SPACE_GROUPS


def decimal_places(number: str) -> int:
    """Return the number of decimals of a number."""
    return len(number.partition(".")[2])
