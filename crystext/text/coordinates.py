"""The coordinate formats: the cell, then every atom.

For a format with two decimals in lengths and angles and three in coordinates:

    5.64 5.64 5.64          a b c in Å
    90.00 90.00 90.00       alpha beta gamma in degrees
    Na                      an element,
    0.000 0.000 0.000       its fractional coordinates, each in [0, 1)
    Cl
    0.500 0.500 0.500

Lines are joined by newlines; there is none at the end. Atoms are sorted by electronegativity.
The cell is written as given: nothing is reduced, standardised or shifted here.
Source: Gruver et al., ICLR 2024, arXiv:2402.04379, section 3; the precision of the default format
was measured (`evaluation/measure/precision.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.text.base import DecimalFormat
from crystext.text.failures import Decoded, DecodeFailure, failure_at
from crystext.text.lenient import (
    correct_case,
    find_cell,
    is_prose,
    may_be_angles,
    repair_triple,
    strip_lines,
)
from crystext.text.lines import (
    SYMBOL_STARTS,
    TRIPLE_PATTERN,
    TRIPLE_START,
    NumberedLine,
    decimal_places,
    parse_triple,
)

_MAX_LENGTH = 10_000.0
"""Upper limit of cell lengths, in Å."""

_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True)
class CoordinateFormat(DecimalFormat):
    """A format that lists the coordinates of every atom."""

    as_published: bool = False
    """Cut angles to integers and let a coordinate that rounds up be printed as 1: the published
    encoder's behaviour, kept to read and compare its texts."""

    lists_sites: ClassVar[bool] = True
    grammar: ClassVar[str | None] = "crystext.grammar.coordinates:CoordinateGrammar"

    def encode(self, crystal: Crystal) -> str:
        """Write a crystal, its atoms by increasing electronegativity."""
        return self.encode_in_given_order(crystal.in_text_order())

    def encode_in_given_order(self, crystal: Crystal) -> str:
        """Write a crystal as `encode` does, with its atoms in the order in which they are given."""
        lengths: list[float] = crystal.lengths.tolist()
        angles: list[float] = crystal.angles.tolist()
        # A sum is finite only if all its terms are: a cheap check of the coordinates.
        if not (len(crystal) and math.isfinite(crystal.positions.sum()) and self._fits(crystal)):
            crystal.check()
            raise InputError(
                f"the format {self.name} cannot represent the cell: lengths {lengths} Å need "
                f"{self.length_decimals} decimals below {_MAX_LENGTH:g}, angles {angles} "
                f"degrees {self.angle_decimals}, and rounded to these they enclose no volume"
            )
        positions = crystal.positions - np.floor(crystal.positions)
        if self.as_published:
            angles = [int(angle) for angle in angles]
        else:
            positions[positions >= 1.0 - 0.5 * 10.0**-self.coordinate_decimals] = 0.0
        length, angle = f"%.{self.length_decimals}f", f"%.{self.angle_decimals}f"
        coordinate = f"%.{self.coordinate_decimals}f"
        cell = f"{length} {length} {length}\n{angle} {angle} {angle}"
        atom = f"\n%s\n{coordinate} {coordinate} {coordinate}"
        values: list[object] = [*lengths, *angles]
        for symbol, position in zip(crystal.symbols, positions.tolist(), strict=True):
            values.append(symbol)
            values.extend(position)
        return (cell + atom * len(crystal)) % tuple(values)

    def _fits(self, crystal: Crystal) -> bool:
        """Return whether the cell is valid, and stays valid at the format's decimals."""
        angles: list[float] = crystal.angles.tolist()
        if not angles_form_cell(*angles):
            return False
        if not self.as_published and not angles_form_cell(
            *(round(x, self.angle_decimals) for x in angles)
        ):
            return False
        half_unit = 0.5 * 10.0**-self.length_decimals
        return all(half_unit < x < _MAX_LENGTH - half_unit for x in crystal.lengths.tolist())

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is three numbers."""
        return TRIPLE_PATTERN.fullmatch(text.partition("\n")[0]) is not None

    def max_characters(self, max_atoms: int) -> int:
        """Return an upper bound on the number of characters of a text of so many atoms."""
        cell = 3 * (self.length_decimals + self.angle_decimals + 10)
        return cell + max_atoms * (3 * (self.coordinate_decimals + 3) + 4)

    def read_lines(self, lines: list[str], line_numbers: Sequence[int], *, exact: bool) -> Decoded:
        """Read the strict form; see `DecimalFormat.read_lines`."""

        def failure(kind: DecodeFailure, index: int) -> Decoded:
            return failure_at(kind, index, lines, line_numbers)

        def no_triple(kind: DecodeFailure, index: int) -> Decoded:
            broken_off = index + 1 == len(lines) and TRIPLE_START.fullmatch(lines[index])
            return failure(DecodeFailure.TRUNCATED if broken_off else kind, index)

        lengths = parse_triple(lines[0])
        if lengths is None:
            return no_triple(DecodeFailure.BAD_LENGTHS, 0)
        if min(lengths) <= 0:
            return failure(DecodeFailure.BAD_LENGTHS, 0)
        if len(lines) < 2:
            return failure(DecodeFailure.TRUNCATED, 1)
        angles = parse_triple(lines[1])
        if angles is None:
            return no_triple(DecodeFailure.BAD_ANGLES, 1)
        if not (min(angles) > 0 and max(angles) < 180):
            return failure(DecodeFailure.BAD_ANGLES, 1)
        if not angles_form_cell(*angles):
            return failure(DecodeFailure.NO_VOLUME, 1)
        if len(lines) < 3 or (len(lines) == 3 and not lines[2]):
            return failure(DecodeFailure.NO_ATOMS, 2)
        numbers: list[int] = []
        positions: list[list[float]] = []
        largest = 1.0 if not exact or self.as_published else _BELOW_ONE
        for i in range(2, len(lines), 2):
            symbol = lines[i]
            z = ATOMIC_NUMBERS.get(symbol)
            if z is None:
                broken_off = i + 1 == len(lines) and symbol in SYMBOL_STARTS
                return failure(
                    DecodeFailure.TRUNCATED if broken_off else DecodeFailure.UNKNOWN_ELEMENT, i
                )
            if i + 1 == len(lines):
                return failure(DecodeFailure.TRUNCATED, i + 1)
            position = parse_triple(lines[i + 1])
            if position is None:
                return no_triple(DecodeFailure.BAD_POSITION, i + 1)
            if max(position) > largest:
                return failure(DecodeFailure.BAD_POSITION, i + 1)
            numbers.append(z)
            positions.append(position)
        if exact and (wrong := self._wrong_precision(lines)) is not None:
            return failure(DecodeFailure.WRONG_PRECISION, wrong)
        frac = np.array(positions)
        frac[frac >= 1.0] = 0.0
        return Decoded(Crystal(np.array(lengths), np.array(angles), np.array(numbers), frac))

    def _wrong_precision(self, lines: list[str]) -> int | None:
        """Return the index of the first line whose numbers have other decimals than expected."""
        for i, line in enumerate(lines):
            if i >= 2 and i % 2 == 0:
                continue
            decimals = (
                (self.length_decimals, self.angle_decimals)[i]
                if i < 2
                else self.coordinate_decimals
            )
            if any(decimal_places(x) != decimals for x in line.split(" ")):
                return i
        return None

    def lenient_start(self, lines: Sequence[NumberedLine]) -> int | None:
        """Return the index of the first line of the first cell."""
        return find_cell(lines, 0)

    def repair(self, lines: list[str]) -> tuple[list[NumberedLine], tuple[str, ...]]:
        """Bring a loosely written text into the strict form where that is unambiguous."""
        repairs: dict[str, None] = {}
        kept = strip_lines(lines, repairs)
        start = find_cell(kept, 0)
        if start is None:
            start = 0
        elif start > 0:
            repairs["text before the crystal"] = None
        out = [repair_triple(line, repairs, wrap=False) for line in kept[start : start + 2]]
        for i in range(start + 2, len(kept), 2):
            number, text = kept[i]
            symbol = correct_case(text)
            if symbol not in ATOMIC_NUMBERS:
                if i > start + 2 and is_prose(kept, i):
                    repairs["text after the crystal"] = None
                else:
                    out.extend(kept[i:])
                break
            if symbol != text:
                repairs["element symbols in wrong case"] = None
            out.append(NumberedLine(number, symbol))
            if i + 1 < len(kept):
                out.append(repair_triple(kept[i + 1], repairs, wrap=True))
        return out, tuple(repairs)

    def read_repaired(
        self, lines: list[str], line_numbers: Sequence[int], *, exact: bool
    ) -> Decoded:
        """Read repaired lines; refuse angles that look like the coordinates of an atom."""
        if len(lines) > 1 and (angles := parse_triple(lines[1])) and not may_be_angles(angles):
            return Decoded(None, DecodeFailure.BAD_ANGLES, line_numbers[1], repr(lines[1]))
        return self.read_lines(lines, line_numbers, exact=exact)

    def line_kinds(self, text: str) -> list[str]:
        """Return what each line of a text holds."""
        atoms = (text.count("\n") - 1) // 2
        return ["lengths", "angles", *["element", "coordinates"] * atoms]

    def regex(self, *, max_atoms: int, elements: Sequence[str]) -> str:
        r"""Return a regular expression that matches whole texts: lines, decimals, elements, sizes.

        It uses only what all engines support: groups, classes and counts. Newlines are \n.
        """
        length = _positive_number("[1-9][0-9]{0,3}", self.length_decimals)
        angle = _positive_number("(?:[1-9][0-9]?|1[0-7][0-9])", self.angle_decimals)
        coordinate = rf"0\.[0-9]{{{self.coordinate_decimals}}}"
        if self.as_published:
            coordinate = rf"(?:{coordinate}|1\.{'0' * self.coordinate_decimals})"
        atom = rf"\n(?:{'|'.join(dict.fromkeys(elements))})\n{_triple(coordinate)}"
        return rf"{_triple(length)}\n{_triple(angle)}(?:{atom}){{1,{max_atoms}}}"


def _triple(number: str) -> str:
    return f"{number} {number} {number}"


def _positive_number(whole: str, decimals: int) -> str:
    """Return the pattern of a number above zero, with this whole part or the whole part 0."""
    if not decimals:
        return whole
    digits = [
        f"{'0' * zeros}[1-9]" + (f"[0-9]{{{left}}}" if (left := decimals - zeros - 1) else "")
        for zeros in range(decimals)
    ]
    return rf"(?:{whole}\.[0-9]{{{decimals}}}|0\.(?:{'|'.join(digits)}))"


PLAIN = CoordinateFormat("plain", 2, 2, 3, title="the cell, then every atom")
GRUVER2024 = CoordinateFormat(
    "gruver2024", 1, 0, 2, as_published=True, title="the cell, then every atom, as published"
)
GRUVER2024_ROUNDED = CoordinateFormat(
    "gruver2024-rounded", 1, 0, 2, title="the published format with numbers rounded, not cut"
)
COORDINATE_FORMATS = (PLAIN, GRUVER2024, GRUVER2024_ROUNDED)
