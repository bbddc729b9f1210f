"""Crystal to text and back.

The text, for a format with two decimals in lengths and angles and three in coordinates:

    5.64 5.64 5.64          a b c in Å
    90.00 90.00 90.00       alpha beta gamma in degrees
    Na                      an element,
    0.000 0.000 0.000       its fractional coordinates, each in [0, 1)
    Cl
    0.500 0.500 0.500

Lines are joined by a newline and the last has none. Atoms come by increasing electronegativity.
The cell is written as it is given: nothing is reduced, standardised or shifted here.
Source: Gruver et al., ICLR 2024, arXiv:2402.04379, section 3; the precision of the default format
was measured (`evaluation/benchmarks/precision.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystext.crystal import Crystal, angles_close
from crystext.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError, SettingError, did_you_mean

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure


@dataclass(frozen=True)
class Format:
    """A way to print the numbers of a crystal."""

    name: str
    length_decimals: int
    angle_decimals: int
    coordinate_decimals: int
    as_published: bool = False
    """Cut angles to integers and let a coordinate that rounds up be printed as 1: the published
    encoder's behaviour, kept to read and compare its texts."""


PLAIN = Format("plain", length_decimals=2, angle_decimals=2, coordinate_decimals=3)

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        PLAIN,
        Format("gruver2024", 1, 0, 2, as_published=True),
        Format("gruver2024-rounded", 1, 0, 2),
    )
}
"""Formats by name."""


def get_format(name: str | Format) -> Format:
    """Return the format of that name, or raise `SettingError` naming those that exist."""
    if isinstance(name, Format):
        return name
    if name not in FORMATS:
        raise SettingError(
            f"no format is called {name!r}; there are {', '.join(FORMATS)}."
            + did_you_mean(name, FORMATS)
        )
    return FORMATS[name]


def encode(crystal: Crystal | Structure, format: str | Format = PLAIN) -> str:
    """Write a crystal as text.

    Coordinates are wrapped into the cell; one that would be printed as 1 is printed as 0, save in
    the published format. That format also prints the cells it spoils: angles that form a cell, and
    once cut to integers form none.

    Raises:
        InputError: the structure is disordered, or otherwise no crystal (see `Crystal`), or the
            format's decimals cannot hold its cell.
        SettingError: no such format.
    """
    fmt = get_format(format)
    if not isinstance(crystal, Crystal):
        crystal = Crystal.from_structure(crystal)
    return encode_as_ordered(crystal.in_text_order(), fmt)


def encode_as_ordered(crystal: Crystal, fmt: Format) -> str:
    """Write a crystal as `encode` does, with its atoms in the order in which they are given."""
    lengths: list[float] = crystal.lengths.tolist()
    angles: list[float] = crystal.angles.tolist()
    # A sum is finite just where all its terms are: coordinates are cheap to check this way.
    if not (len(crystal) and math.isfinite(crystal.positions.sum()) and _printable(crystal, fmt)):
        crystal.check()
        raise InputError(
            f"the format {fmt.name} cannot hold the cell: lengths {lengths} Å are written with "
            f"{fmt.length_decimals} decimals below {_MAX_LENGTH:g}, angles {angles} degrees with "
            f"{fmt.angle_decimals}, and so rounded they enclose no volume"
        )
    positions = crystal.positions - np.floor(crystal.positions)
    if fmt.as_published:
        angles = [int(angle) for angle in angles]
    else:
        positions[positions >= 1.0 - 0.5 * 10.0**-fmt.coordinate_decimals] = 0.0
    length, angle = f"%.{fmt.length_decimals}f", f"%.{fmt.angle_decimals}f"
    coordinate = f"%.{fmt.coordinate_decimals}f"
    cell = f"{length} {length} {length}\n{angle} {angle} {angle}"
    atom = f"\n%s\n{coordinate} {coordinate} {coordinate}"
    values: list[object] = [*lengths, *angles]
    for symbol, position in zip(crystal.symbols, positions.tolist(), strict=True):
        values.append(symbol)
        values.extend(position)
    return (cell + atom * len(crystal)) % tuple(values)


_MAX_LENGTH = 10_000.0
"""Cell lengths, in Å, are read and written below this."""


def _printable(crystal: Crystal, fmt: Format) -> bool:
    """Return whether the cell is one, and stays one when rounded to the format's decimals."""
    angles: list[float] = crystal.angles.tolist()
    if not angles_close(*angles):
        return False
    if not fmt.as_published and not angles_close(*(round(x, fmt.angle_decimals) for x in angles)):
        return False
    half_unit = 0.5 * 10.0**-fmt.length_decimals
    return all(half_unit < x < _MAX_LENGTH - half_unit for x in crystal.lengths.tolist())


class Fault(Enum):
    """Why a text is not a crystal. The value is one sentence for people."""

    EMPTY = "there is no text"
    BAD_LENGTHS = "the line of cell lengths is not three positive numbers"
    BAD_ANGLES = "the line of cell angles is not three numbers between 0 and 180"
    NO_VOLUME = "the cell lengths and angles enclose no volume"
    NO_ATOMS = "the text ends after the cell"
    UNKNOWN_ELEMENT = "a line that should be an element symbol is none"
    BAD_POSITION = "the line of coordinates is not three numbers in [0, 1)"
    TRUNCATED = "the text ends in the middle of a line or of an atom"
    WRONG_PRECISION = "a number has other decimals than the format asks for"
    # Of texts by symmetry (`wyckoff.text`).
    UNKNOWN_SPACE_GROUP = "the first line is not the number of a space group, 1 to 230"
    UNKNOWN_POSITION = "the space group has no Wyckoff position of that name"
    POINT_TAKEN = "a position without free coordinates is taken twice"
    HIGHER_SYMMETRY = "an orbit's coordinates put it on a position of fewer atoms"
    BAD_CELL = "the last line does not hold the cell parameters that the space group leaves free"


@dataclass(frozen=True)
class Decoded:
    """What came of reading a text: a crystal, or a fault and where it lies."""

    crystal: Crystal | None
    fault: Fault | None = None
    line: int | None = None
    """Number, from 1, of the line at which reading stopped; None where a crystal was read."""
    detail: str = ""
    """What was found at that line."""
    forgiven: tuple[str, ...] = field(default=())
    """What the forgiving reader passed over, in the order met."""

    @property
    def structure(self) -> Structure | None:
        """The crystal as a pymatgen `Structure`, or None."""
        return None if self.crystal is None else self.crystal.structure

    def __bool__(self) -> bool:
        return self.crystal is not None


class _Line(NamedTuple):
    number: int
    text: str


def decode(text: str, *, format: str | Format | None = None, strict: bool = True) -> Decoded:
    """Read a crystal from text. Never raises for what the text holds.

    Args:
        text: as `encode` writes it.
        format: where given, every number must have this format's decimals; None takes any, and
            takes the coordinate 1 that the published format may hold, as 0.
        strict: True accepts exactly the line structure of the module's docstring. False also
            takes prose before and after the crystal, blank lines, stray spaces, commas between
            numbers, element symbols in wrong case, and coordinates outside [0, 1), which it wraps;
            `Decoded.forgiven` says what it met. What reads strictly reads the same either way.

    Raises:
        SettingError: no such format.
    """
    fmt = None if format is None else get_format(format)
    if not text.strip():
        return Decoded(None, Fault.EMPTY, 1, "nothing but white space" if text else "nothing")
    lines = text.split("\n")
    decoded = _read(lines, range(1, len(lines) + 1), fmt)
    if strict or decoded:
        return decoded
    tidy, forgiven = _tidy(lines)
    if len(tidy) > 1 and (angles := _read_triple(tidy[1].text)) and not _may_be_angles(angles):
        return Decoded(None, Fault.BAD_ANGLES, tidy[1].number, repr(tidy[1].text), forgiven)
    decoded = _read([line.text for line in tidy], [line.number for line in tidy], fmt)
    return replace(decoded, forgiven=forgiven)


def _read(lines: list[str], line_numbers: Sequence[int], fmt: Format | None) -> Decoded:
    """Read the strict form."""

    def fault(kind: Fault, index: int) -> Decoded:
        inside = index < len(lines)
        number = line_numbers[index] if inside else line_numbers[-1] + 1
        found = lines[index] if inside else ""
        # A line of noise may be megabytes long: what is quoted is cut.
        quoted = repr(found[:60]) + ("..." if len(found) > 60 else "")
        return Decoded(None, kind, number, quoted)

    def no_triple(kind: Fault, index: int) -> Decoded:
        broken_off = index + 1 == len(lines) and _TRIPLE_START.fullmatch(lines[index])
        return fault(Fault.TRUNCATED if broken_off else kind, index)

    lengths = _read_triple(lines[0])
    if lengths is None:
        return no_triple(Fault.BAD_LENGTHS, 0)
    if min(lengths) <= 0:
        return fault(Fault.BAD_LENGTHS, 0)
    if len(lines) < 2:
        return fault(Fault.TRUNCATED, 1)
    angles = _read_triple(lines[1])
    if angles is None:
        return no_triple(Fault.BAD_ANGLES, 1)
    if not (min(angles) > 0 and max(angles) < 180):
        return fault(Fault.BAD_ANGLES, 1)
    if not angles_close(*angles):
        return fault(Fault.NO_VOLUME, 1)
    if len(lines) < 3 or (len(lines) == 3 and not lines[2]):
        return fault(Fault.NO_ATOMS, 2)
    numbers: list[int] = []
    positions: list[list[float]] = []
    largest = 1.0 if fmt is None or fmt.as_published else _BELOW_ONE
    for i in range(2, len(lines), 2):
        symbol = lines[i]
        z = ATOMIC_NUMBERS.get(symbol)
        if z is None:
            broken_off = i + 1 == len(lines) and symbol in _SYMBOL_STARTS
            return fault(Fault.TRUNCATED if broken_off else Fault.UNKNOWN_ELEMENT, i)
        if i + 1 == len(lines):
            return fault(Fault.TRUNCATED, i + 1)
        position = _read_triple(lines[i + 1])
        if position is None:
            return no_triple(Fault.BAD_POSITION, i + 1)
        if max(position) > largest:
            return fault(Fault.BAD_POSITION, i + 1)
        numbers.append(z)
        positions.append(position)
    if fmt is not None and (wrong := _wrong_precision(lines, fmt)) is not None:
        return fault(Fault.WRONG_PRECISION, wrong)
    frac = np.array(positions)
    frac[frac >= 1.0] = 0.0
    return Decoded(Crystal(np.array(lengths), np.array(angles), np.array(numbers), frac))


_NUMBER = r"[0-9]{1,4}(?:\.[0-9]{1,12})?"
_TRIPLE = re.compile(rf"{_NUMBER} {_NUMBER} {_NUMBER}")
_TRIPLE_START = re.compile(rf"(?:{_NUMBER} ){{0,2}}(?:[0-9]{{1,4}}(?:\.[0-9]{{0,12}})?)?")
"""A line of three numbers of which the end may be missing."""
_SYMBOL_STARTS = {symbol[:1] for symbol in SYMBOLS} | {""}
"""What an element's line may hold when the text breaks off in it."""
_BELOW_ONE = math.nextafter(1.0, 0.0)


def _read_triple(line: str) -> list[float] | None:
    return [float(x) for x in line.split(" ")] if _TRIPLE.fullmatch(line) else None


def _wrong_precision(lines: list[str], fmt: Format) -> int | None:
    """Return the index of the first line whose numbers have other decimals than the format's."""
    for i, line in enumerate(lines):
        if i >= 2 and i % 2 == 0:
            continue
        decimals = (
            (fmt.length_decimals, fmt.angle_decimals)[i] if i < 2 else fmt.coordinate_decimals
        )
        if any(len(x.partition(".")[2]) != decimals for x in line.split(" ")):
            return i
    return None


_LOOSE_NUMBER = r"[-+]?[0-9]{1,6}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?"
_LOOSE_TRIPLE = re.compile(rf"{_LOOSE_NUMBER}(?:(?:\s*[,;]\s*|\s+){_LOOSE_NUMBER}){{2}}")
_LOOSE_NUMBERS = re.compile(_LOOSE_NUMBER)
_LONGEST_LINE = 200
"""No line of a crystal is longer, however loosely written."""


def _tidy(lines: list[str]) -> tuple[list[_Line], tuple[str, ...]]:
    """Bring a sloppy text into the strict form as far as that is unambiguous.

    Returns the lines of the crystal, with their numbers in the text, and what was forgiven.
    """
    forgiven: dict[str, None] = {}
    kept = [_Line(i, text) for i, line in enumerate(lines, start=1) if (text := line.strip())]
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
        out.append(_Line(number, symbol))
        if i + 1 < len(kept):
            out.append(_tidy_triple(kept[i + 1], forgiven, wrap=True))
    return out, tuple(forgiven)


def _find_cell(lines: list[_Line], start: int) -> int | None:
    """Return the index of the first two lines that can only be a cell: no atom's coordinates.

    Of more than two lines of numbers in a row, the last two stand where a cell has to.
    """
    for i in range(start, len(lines) - 1):
        angles = _read_loose_triple(lines[i + 1].text)
        if angles is None or not _may_be_angles(angles) or not _read_loose_triple(lines[i].text):
            continue
        behind = _read_loose_triple(lines[i + 2].text) if i + 2 < len(lines) else None
        follows_element = i > 0 and lines[i - 1].text in ATOMIC_NUMBERS
        if not follows_element and not (behind and _may_be_angles(behind)):
            return i
    return None


def _may_be_angles(values: list[float]) -> bool:
    """Return whether three numbers are angles rather than fractional coordinates."""
    return min(values) > 1


def _is_prose(lines: list[_Line], start: int) -> bool:
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


def _tidy_triple(line: _Line, forgiven: dict[str, None], *, wrap: bool) -> _Line:
    """Return three loosely written numbers in the strict form; other lines as they are.

    Decimals stay as many as they were, so that a format's precision can still be told.
    """
    values = _read_loose_triple(line.text)
    if values is None:
        return line
    tidy = bool(_TRIPLE.fullmatch(line.text))
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
    return _Line(line.number, " ".join(words))


def _decimals(number: str) -> int:
    """Return how many decimals a number is written with, at most 12, which an exponent gets too."""
    if "e" in number.lower():
        return 12
    return min(12, len(number.partition(".")[2]))
