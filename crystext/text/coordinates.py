"""The plain text: the cell, then every atom.

For a format with two decimals in lengths and angles and three in coordinates:

    5.64 5.64 5.64          a b c in Å
    90.00 90.00 90.00       alpha beta gamma in degrees
    Na                      an element,
    0.000 0.000 0.000       its fractional coordinates, each in [0, 1)
    Cl
    0.500 0.500 0.500

Lines are joined by a newline and the last has none. Atoms come by increasing electronegativity.
The cell is written as it is given: nothing is reduced, standardised or shifted here.
Source: Gruver et al., ICLR 2024, arXiv:2402.04379, section 3; the precision of the default format
was measured (`evaluation/measure/precision.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.text.failures import Decoded, DecodeFailure, failure_at
from crystext.text.formats import Format


def encode_in_given_order(crystal: Crystal, fmt: Format) -> str:
    """Write a crystal as `encode` does, with its atoms in the order in which they are given."""
    lengths: list[float] = crystal.lengths.tolist()
    angles: list[float] = crystal.angles.tolist()
    # A sum is finite just where all its terms are: coordinates are cheap to check this way.
    if not (len(crystal) and math.isfinite(crystal.positions.sum()) and _fits_format(crystal, fmt)):
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


def _fits_format(crystal: Crystal, fmt: Format) -> bool:
    """Return whether the cell is one, and stays one when rounded to the format's decimals."""
    angles: list[float] = crystal.angles.tolist()
    if not angles_form_cell(*angles):
        return False
    if not fmt.as_published and not angles_form_cell(
        *(round(x, fmt.angle_decimals) for x in angles)
    ):
        return False
    half_unit = 0.5 * 10.0**-fmt.length_decimals
    return all(half_unit < x < _MAX_LENGTH - half_unit for x in crystal.lengths.tolist())


def read_coordinate_lines(
    lines: list[str], line_numbers: Sequence[int], fmt: Format | None
) -> Decoded:
    """Read the strict form.

    Args:
        lines: of the text.
        line_numbers: what to call each of them where a fault is told.
        fmt: gives the decimals that every number must have; None takes any.
    """

    def fault(kind: DecodeFailure, index: int) -> Decoded:
        return failure_at(kind, index, lines, line_numbers)

    def no_triple(kind: DecodeFailure, index: int) -> Decoded:
        broken_off = index + 1 == len(lines) and _TRIPLE_START.fullmatch(lines[index])
        return fault(DecodeFailure.TRUNCATED if broken_off else kind, index)

    lengths = parse_triple(lines[0])
    if lengths is None:
        return no_triple(DecodeFailure.BAD_LENGTHS, 0)
    if min(lengths) <= 0:
        return fault(DecodeFailure.BAD_LENGTHS, 0)
    if len(lines) < 2:
        return fault(DecodeFailure.TRUNCATED, 1)
    angles = parse_triple(lines[1])
    if angles is None:
        return no_triple(DecodeFailure.BAD_ANGLES, 1)
    if not (min(angles) > 0 and max(angles) < 180):
        return fault(DecodeFailure.BAD_ANGLES, 1)
    if not angles_form_cell(*angles):
        return fault(DecodeFailure.NO_VOLUME, 1)
    if len(lines) < 3 or (len(lines) == 3 and not lines[2]):
        return fault(DecodeFailure.NO_ATOMS, 2)
    numbers: list[int] = []
    positions: list[list[float]] = []
    largest = 1.0 if fmt is None or fmt.as_published else _BELOW_ONE
    for i in range(2, len(lines), 2):
        symbol = lines[i]
        z = ATOMIC_NUMBERS.get(symbol)
        if z is None:
            broken_off = i + 1 == len(lines) and symbol in SYMBOL_STARTS
            return fault(
                DecodeFailure.TRUNCATED if broken_off else DecodeFailure.UNKNOWN_ELEMENT, i
            )
        if i + 1 == len(lines):
            return fault(DecodeFailure.TRUNCATED, i + 1)
        position = parse_triple(lines[i + 1])
        if position is None:
            return no_triple(DecodeFailure.BAD_POSITION, i + 1)
        if max(position) > largest:
            return fault(DecodeFailure.BAD_POSITION, i + 1)
        numbers.append(z)
        positions.append(position)
    if fmt is not None and (wrong := _wrong_precision(lines, fmt)) is not None:
        return fault(DecodeFailure.WRONG_PRECISION, wrong)
    frac = np.array(positions)
    frac[frac >= 1.0] = 0.0
    return Decoded(Crystal(np.array(lengths), np.array(angles), np.array(numbers), frac))


_NUMBER = r"[0-9]{1,4}(?:\.[0-9]{1,12})?"
TRIPLE_PATTERN = re.compile(rf"{_NUMBER} {_NUMBER} {_NUMBER}")
"""A line of three numbers."""
_TRIPLE_START = re.compile(rf"(?:{_NUMBER} ){{0,2}}(?:[0-9]{{1,4}}(?:\.[0-9]{{0,12}})?)?")
"""A line of three numbers of which the end may be missing."""
SYMBOL_STARTS = {symbol[:1] for symbol in SYMBOLS} | {""}
"""What an element's line may hold when the text breaks off in it."""
_BELOW_ONE = math.nextafter(1.0, 0.0)


def parse_triple(line: str) -> list[float] | None:
    """Return three numbers that are written as in the strict form."""
    return [float(x) for x in line.split(" ")] if TRIPLE_PATTERN.fullmatch(line) else None


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
