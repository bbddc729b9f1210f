"""The text of a format as a sequence of fields, each a choice among finitely many values.

    length length length angle angle angle (element x y z)+ end

A field's value is a whole number: hundredths of Å for a length of two decimals, the atomic number
for an element, 0 in an element field for the end of the text. A Wyckoff text has other fields in
another order (`wyckoff.automaton`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text import Format
from crystext.text.formats import MAX_ANGLE, MAX_LENGTH
from crystext.tokenization.crystal_vocabulary import position_names

END = 0
"""The value of an element field that ends the text."""


class FieldKind(Enum):
    """What a field holds."""

    LENGTH = "length"
    ANGLE = "angle"
    ELEMENT = "element"
    COORDINATE = "coordinate"
    # Only in Wyckoff texts.
    GROUP = "space group"
    POSITION = "position"
    ELEMENT_OR_LENGTH = "element or length"
    """The field after an orbit: another orbit, or the cell, which begins with a length."""
    CELL = "cell"
    """A length or an angle, whose values are those of its own kind: they share a temperature."""


@dataclass(frozen=True)
class Field:
    """One field of the text."""

    kind: FieldKind
    axis: int
    """0, 1 or 2 for lengths, angles and coordinates; 0 for an element."""
    separator: str
    """The separator before this value."""


_CELL = tuple(
    Field(kind, axis, separator)
    for kind, separators in (
        (FieldKind.LENGTH, ("", " ", " ")),
        (FieldKind.ANGLE, ("\n", " ", " ")),
    )
    for axis, separator in enumerate(separators)
)
_ATOM = (
    Field(FieldKind.ELEMENT, 0, "\n"),
    Field(FieldKind.COORDINATE, 0, "\n"),
    Field(FieldKind.COORDINATE, 1, " "),
    Field(FieldKind.COORDINATE, 2, " "),
)


def field_at(index: int) -> Field:
    """Return the field at an index of the sequence, counted from 0."""
    return _CELL[index] if index < len(_CELL) else _ATOM[(index - len(_CELL)) % len(_ATOM)]


def value_count(kind: FieldKind, fmt: Format) -> int:
    """Return how many values a field of this kind can take."""
    if kind is FieldKind.LENGTH:
        return MAX_LENGTH * int(10 ** decimals_of(kind, fmt))
    if kind is FieldKind.ANGLE:
        return MAX_ANGLE * int(10 ** decimals_of(kind, fmt))
    if kind is FieldKind.COORDINATE:
        return int(10 ** decimals_of(kind, fmt))
    if kind is FieldKind.ELEMENT:
        return len(SYMBOLS) + 1
    return len(value_texts(kind, fmt))


def decimals_of(kind: FieldKind, fmt: Format) -> int:
    """Return the number of decimals of a field of this kind."""
    assert fmt.decimals is not None, f"a grammar of fields needs decimals, and {fmt.name} has none"
    length, angle, coordinate = fmt.decimals
    if kind is FieldKind.LENGTH:
        return length
    return angle if kind is FieldKind.ANGLE else coordinate


@cache
def value_texts(kind: FieldKind, fmt: Format) -> tuple[str, ...]:
    """Return the text of each value of a field; that of the end is empty."""
    if kind is FieldKind.ELEMENT:
        return ("", *SYMBOLS)
    if kind is FieldKind.ELEMENT_OR_LENGTH:
        return ("", *SYMBOLS, *value_texts(FieldKind.LENGTH, fmt))
    if kind is FieldKind.GROUP:
        return ("", *(str(number) for number in range(1, N_SPACE_GROUPS + 1)))
    if kind is FieldKind.POSITION:
        return position_names()
    places = decimals_of(kind, fmt)
    return tuple(f"{i / 10**places:.{places}f}" for i in range(value_count(kind, fmt)))


def kind_after_wyckoff(text: str, fmt: Format) -> FieldKind:
    """Return the kind of the unfinished field at the end of a partial Wyckoff text.

    After the last decimal of a line it is the kind of the next line. The text need not be valid.
    """
    lines = text.split("\n")
    if len(lines) == 1:
        return FieldKind.GROUP
    number = lines[0]
    group = int(number) if number in value_texts(FieldKind.GROUP, fmt)[1:] else 1
    first, *rest = lines[-1].split(" ")
    if first[:1].isdigit():
        return FieldKind.CELL
    if not rest:
        return FieldKind.ELEMENT
    if len(rest) == 1 and not rest[0][-1:].isalpha():
        return FieldKind.POSITION
    known = wyckoff_positions(group).get(rest[0][-1:])
    whole = known is not None and len(rest) - 1 == len(known.free_axes)
    written = len(rest[-1].partition(".")[2])
    if whole and (len(rest) == 1 or written == decimals_of(FieldKind.COORDINATE, fmt)):
        return FieldKind.ELEMENT
    return FieldKind.COORDINATE


def kind_after_coordinates(text: str, fmt: Format) -> FieldKind:
    """Return the kind of the unfinished field at the end of a partial text, or of the next one.

    After the last decimal of a line it is the kind of the next line; a number without decimals
    continues until something else follows. Lines are identified by their index: the text need not
    be valid.
    """
    lines = text.split("\n")
    place = len(lines) - 1
    if place >= 2 and place % 2 == 0:
        return FieldKind.ELEMENT
    kind = (FieldKind.LENGTH, FieldKind.ANGLE)[place] if place < 2 else FieldKind.COORDINATE
    values = lines[-1].split(" ")
    written = len(values[-1].partition(".")[2])
    if len(values) < 3 or written == 0 or written < decimals_of(kind, fmt):
        return kind
    return FieldKind.ANGLE if kind is FieldKind.LENGTH else FieldKind.ELEMENT
