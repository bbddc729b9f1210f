"""Loosely written lines: find them in prose, read them, and bring them into the strict form."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.text.lines import (
    NUMBER_PATTERN,
    TRIPLE_PATTERN,
    NumberedLine,
    decimal_places,
    is_space_group_line,
)

_LOOSE_NUMBER = r"[-+]?[0-9]{1,6}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?"
_SEPARATOR = r"(?:\s*[,;]\s*|\s+)"
_LOOSE_TRIPLE = re.compile(rf"{_LOOSE_NUMBER}(?:{_SEPARATOR}{_LOOSE_NUMBER}){{2}}")
_LOOSE_CELL = re.compile(rf"{_LOOSE_NUMBER}(?:{_SEPARATOR}{_LOOSE_NUMBER}){{0,5}}")
_LOOSE_ORBIT = re.compile(
    rf"([A-Za-z]{{1,2}}){_SEPARATOR}([0-9]{{1,3}}[a-zA])((?:{_SEPARATOR}{_LOOSE_NUMBER}){{0,3}})"
)
_LOOSE_NUMBERS = re.compile(_LOOSE_NUMBER)
_MAX_LINE_LENGTH = 200
"""Longer lines are never part of a crystal."""


def strip_lines(lines: list[str], repairs: dict[str, None]) -> list[NumberedLine]:
    """Return the lines that are not blank, without spaces at their ends."""
    kept = [
        NumberedLine(i, text) for i, line in enumerate(lines, start=1) if (text := line.strip())
    ]
    if blank := len(lines) - len(kept):
        only_at_end = blank == 1 and kept[-1].number < len(lines)
        repairs["newline at the end" if only_at_end else "blank lines"] = None
    if any(lines[number - 1] != text for number, text in kept):
        repairs["spaces at the ends of lines"] = None
    return kept


def find_space_group_line(lines: Sequence[NumberedLine], start: int) -> int | None:
    """Return the index of the first space-group number that is followed by an orbit."""
    for i in range(start, len(lines) - 1):
        if is_space_group_line(lines[i].text) and read_loose_orbit(lines[i + 1].text):
            return i
    return None


def find_cell(lines: Sequence[NumberedLine], start: int) -> int | None:
    """Return the index of the first two lines that can only be a cell, not an atom's coordinates.

    Of more than two lines of numbers in a row, the last two are the cell.
    """
    for i in range(start, len(lines) - 1):
        angles = read_loose_triple(lines[i + 1].text)
        if angles is None or not may_be_angles(angles) or not read_loose_triple(lines[i].text):
            continue
        behind = read_loose_triple(lines[i + 2].text) if i + 2 < len(lines) else None
        follows_element = i > 0 and lines[i - 1].text in ATOMIC_NUMBERS
        if not follows_element and not (behind and may_be_angles(behind)):
            return i
    return None


def may_be_angles(values: list[float]) -> bool:
    """Return whether three numbers are angles rather than fractional coordinates."""
    return min(values) > 1


def is_prose(lines: list[NumberedLine], start: int) -> bool:
    """Return whether ending the crystal here loses no atom.

    The rest may contain another crystal, but no numbers and no orbits before it.
    """
    for i in range(start, len(lines)):
        if find_space_group_line(lines[i : i + 2], 0) == 0:
            return True
        if read_loose_triple(lines[i].text):
            return find_cell(lines, i) == i
        if read_loose_orbit(lines[i].text):
            return False
    return True


def read_loose_triple(text: str) -> list[float] | None:
    """Return three loosely written numbers; None if the line holds anything else."""
    if len(text) > _MAX_LINE_LENGTH or not _LOOSE_TRIPLE.fullmatch(text):
        return None
    return [float(x) for x in _LOOSE_NUMBERS.findall(text)]


def read_loose_orbit(text: str) -> tuple[str, str, list[str]] | None:
    """Return an orbit's element as written, its position and its numbers."""
    if len(text) > _MAX_LINE_LENGTH or not (found := _LOOSE_ORBIT.fullmatch(text)):
        return None
    symbol, name, rest = found.groups()
    if correct_case(symbol) not in ATOMIC_NUMBERS:
        return None
    return symbol, name, _LOOSE_NUMBERS.findall(rest)


def correct_case(symbol: str) -> str:
    """Return an element's symbol in the right case."""
    return symbol.capitalize() if symbol.isascii() else symbol


def repair_triple(line: NumberedLine, repairs: dict[str, None], *, wrap: bool) -> NumberedLine:
    """Return three loosely written numbers in the strict form; other lines as they are."""
    if read_loose_triple(line.text) is None:
        return line
    words = _LOOSE_NUMBERS.findall(line.text)
    is_strict = bool(TRIPLE_PATTERN.fullmatch(line.text))
    return NumberedLine(
        line.number, " ".join(repair_numbers(words, repairs, is_strict=is_strict, wrap=wrap))
    )


def repair_orbit(line: NumberedLine, repairs: dict[str, None]) -> NumberedLine | None:
    """Return a loosely written orbit in the strict form; None if the line is not an orbit."""
    found = read_loose_orbit(line.text)
    if found is None:
        return None
    written, name, words = found
    symbol = correct_case(written)
    if symbol != written:
        repairs["element symbols in wrong case"] = None
    is_strict = line.text == " ".join([written, name, *words]) and all(
        map(NUMBER_PATTERN.fullmatch, words)
    )
    numbers = repair_numbers(words, repairs, is_strict=is_strict, wrap=True)
    return NumberedLine(line.number, " ".join([symbol, name, *numbers]))


def repair_cell(line: NumberedLine, repairs: dict[str, None]) -> NumberedLine | None:
    """Return loosely written cell parameters in the strict form; None if the line has none."""
    if len(line.text) > _MAX_LINE_LENGTH or not _LOOSE_CELL.fullmatch(line.text):
        return None
    words = _LOOSE_NUMBERS.findall(line.text)
    is_strict = line.text == " ".join(words) and all(map(NUMBER_PATTERN.fullmatch, words))
    return NumberedLine(
        line.number, " ".join(repair_numbers(words, repairs, is_strict=is_strict, wrap=False))
    )


def repair_numbers(
    words: list[str], repairs: dict[str, None], *, is_strict: bool, wrap: bool
) -> list[str]:
    """Return loosely written numbers in the strict form.

    Decimals stay as many as they were, so that a format's precision can still be checked.

    Args:
        words: the numbers.
        repairs: repairs so far; those made here are added.
        is_strict: whether their line is in the strict form.
        wrap: whether they are coordinates, which are wrapped into [0, 1).
    """
    # -0.0 is 0, and would be printed with its sign.
    values = [float(word) + 0.0 for word in words]
    outside = wrap and any(not 0 <= x < 1 for x in values)
    if is_strict and not outside:
        return words
    if not is_strict:
        repairs["numbers written or separated otherwise"] = None
    if outside:
        repairs["coordinates outside [0, 1)"] = None
        values = [x - math.floor(x) for x in values]
    elif min(values, default=0.0) < 0:
        return words
    strict = [f"{x:.{_decimals(word)}f}" for x, word in zip(values, words, strict=True)]
    if wrap:
        strict = [f"{0:.{_decimals(word)}f}" if float(word) >= 1 else word for word in strict]
    return strict


def _decimals(number: str) -> int:
    """Return the number of decimals of a number, at most 12; 12 if it has an exponent."""
    if "e" in number.lower():
        return 12
    return min(12, decimal_places(number))
