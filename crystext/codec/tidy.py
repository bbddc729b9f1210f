"""Plain texts that are written sloppily, brought into the strict form."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from crystext.codec.plain import TRIPLE
from crystext.elements import ATOMIC_NUMBERS


class Line(NamedTuple):
    """A line of a text, and its number there."""

    number: int
    text: str


_LOOSE_NUMBER = r"[-+]?[0-9]{1,6}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?"
_LOOSE_TRIPLE = re.compile(rf"{_LOOSE_NUMBER}(?:(?:\s*[,;]\s*|\s+){_LOOSE_NUMBER}){{2}}")
_LOOSE_NUMBERS = re.compile(_LOOSE_NUMBER)
_LONGEST_LINE = 200
"""No line of a crystal is longer, however loosely written."""


def tidy_lines(lines: list[str]) -> tuple[list[Line], tuple[str, ...]]:
    """Bring a sloppy text into the strict form as far as that is unambiguous.

    Returns the lines of the crystal, with their numbers in the text, and what was forgiven.
    """
    forgiven: dict[str, None] = {}
    kept = [Line(i, text) for i, line in enumerate(lines, start=1) if (text := line.strip())]
    if blank := len(lines) - len(kept):
        only_at_end = blank == 1 and kept[-1].number < len(lines)
        forgiven["newline at the end" if only_at_end else "blank lines"] = None
    if any(lines[number - 1] != text for number, text in kept):
        forgiven["spaces at the ends of lines"] = None
    start = _find_cell(kept, 0)
    if start is None:
        start = 0
    elif start > 0:
        forgiven["text before the crystal"] = None
    out = [_tidy_triple(line, forgiven, wrap=False) for line in kept[start : start + 2]]
    for i in range(start + 2, len(kept), 2):
        number, text = kept[i]
        symbol = text.capitalize() if text.isascii() else text
        if symbol not in ATOMIC_NUMBERS:
            if i > start + 2 and _is_prose(kept, i):
                forgiven["text after the crystal"] = None
            else:
                out.extend(kept[i:])
            break
        if symbol != text:
            forgiven["element symbols in wrong case"] = None
        out.append(Line(number, symbol))
        if i + 1 < len(kept):
            out.append(_tidy_triple(kept[i + 1], forgiven, wrap=True))
    return out, tuple(forgiven)


def _find_cell(lines: list[Line], start: int) -> int | None:
    """Return the index of the first two lines that can only be a cell: no atom's coordinates.

    Of more than two lines of numbers in a row, the last two stand where a cell has to.
    """
    for i in range(start, len(lines) - 1):
        angles = _read_loose_triple(lines[i + 1].text)
        if angles is None or not may_be_angles(angles) or not _read_loose_triple(lines[i].text):
            continue
        behind = _read_loose_triple(lines[i + 2].text) if i + 2 < len(lines) else None
        follows_element = i > 0 and lines[i - 1].text in ATOMIC_NUMBERS
        if not follows_element and not (behind and may_be_angles(behind)):
            return i
    return None


def may_be_angles(values: list[float]) -> bool:
    """Return whether three numbers are angles rather than fractional coordinates."""
    return min(values) > 1


def _is_prose(lines: list[Line], start: int) -> bool:
    """Return whether no atom is lost by ending the crystal here.

    What follows may hold another crystal, but no numbers ahead of its cell.
    """
    for i in range(start, len(lines)):
        if _read_loose_triple(lines[i].text):
            return _find_cell(lines, i) == i
    return True


def _read_loose_triple(text: str) -> list[float] | None:
    if len(text) > _LONGEST_LINE or not _LOOSE_TRIPLE.fullmatch(text):
        return None
    return [float(x) for x in _LOOSE_NUMBERS.findall(text)]


def _tidy_triple(line: Line, forgiven: dict[str, None], *, wrap: bool) -> Line:
    """Return three loosely written numbers in the strict form; other lines as they are.

    Decimals stay as many as they were, so that a format's precision can still be told.
    """
    values = _read_loose_triple(line.text)
    if values is None:
        return line
    tidy = bool(TRIPLE.fullmatch(line.text))
    outside = wrap and any(not 0 <= x < 1 for x in values)
    if tidy and not outside:
        return line
    if not tidy:
        forgiven["numbers written or separated otherwise"] = None
    if outside:
        forgiven["coordinates outside [0, 1)"] = None
        values = [x - math.floor(x) for x in values]
    elif min(values) < 0:
        return line
    words = [
        f"{value:.{_decimals(written)}f}"
        for value, written in zip(values, _LOOSE_NUMBERS.findall(line.text), strict=True)
    ]
    if wrap:
        words = [f"{0:.{_decimals(word)}f}" if float(word) >= 1 else word for word in words]
    return Line(line.number, " ".join(words))


def _decimals(number: str) -> int:
    """Return how many decimals a number is written with, at most 12, which an exponent gets too."""
    if "e" in number.lower():
        return 12
    return min(12, len(number.partition(".")[2]))
