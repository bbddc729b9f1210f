"""The text of a crystal by its symmetry.

    152                       space group
    Si 3a 0.470               element, Wyckoff position, its free coordinates
    O 6c 0.413 0.267 0.119
    4.91 5.40                 what the crystal system leaves free of a b c (Å) alpha beta gamma

Orbits come by increasing electronegativity, then by letter. What symmetry fixes is not written, and
so is exact. The cell is the conventional one, in the setting of `positions`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_names
from crystext.structures.wyckoff.orbits import (
    Orbit,
    WyckoffCrystal,
    from_wyckoff,
    primitive_sites,
    to_wyckoff,
)
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text.coordinates import SYMBOL_STARTS
from crystext.text.failures import Decoded, DecodeFailure, failure_at
from crystext.text.formats import WYCKOFF, Format

_MAX_PARAMETER = 999.0
_SPACE_GROUP = re.compile(r"[1-9][0-9]{0,2}")
_DIGITS = r"[0-9]{1,3}(?:\.[0-9]{1,12})?"
_DIGITS_START = r"(?:[0-9]{1,3}(?:\.[0-9]{0,12})?)?"
NUMBER_PATTERN = re.compile(_DIGITS)
"""A coordinate or a parameter of the cell."""
_ORBIT_START = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)"
    rf"(?: (?:[0-9]{{0,3}}|[0-9]{{1,3}}[a-zA](?: {_DIGITS}){{0,2}}(?: {_DIGITS_START})?))?"
)
"""An orbit's line of which the end may be missing."""


def encode_wyckoff(crystal: Crystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal by its symmetry.

    Args:
        crystal: any description of it.
        fmt: gives the decimals of lengths, angles and coordinates.

    Raises:
        InputError: no symmetry is found, or the crystal so written would not be read.
    """
    text = format_wyckoff(to_wyckoff(crystal), fmt)
    # Takes some percent of what it takes to find the symmetry.
    lines = text.split("\n")
    read = read_wyckoff_lines(lines, range(1, len(lines) + 1), fmt)
    if read.failure is not None:
        raise InputError(
            f"the format {fmt.name} cannot hold the crystal: {read.failure.value}; its text would "
            f"be {text!r}"
        )
    return text


def format_wyckoff(crystal: WyckoffCrystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal that is given by its orbits, these in the order in which they are.

    What it writes of orbits that lie on each other, or do so when rounded, is not read again.

    Raises:
        InputError: the cell is too large or too small for the format.
    """
    places = _cell_decimals(crystal.space_group, fmt)
    if not all(
        0.5 * 10.0**-n < x < _MAX_PARAMETER for x, n in zip(crystal.cell, places, strict=True)
    ):
        raise InputError(
            f"the format {fmt.name} cannot hold the cell {crystal.cell}: its numbers have "
            f"{fmt.length_decimals} decimals and are below {_MAX_PARAMETER:g}"
        )
    cell = [f"{x:.{n}f}" for x, n in zip(crystal.cell, places, strict=True)]
    orbits = [_orbit_line(orbit, fmt.coordinate_decimals) for orbit in crystal.orbits]
    return "\n".join([str(crystal.space_group), *orbits, " ".join(cell)])


def _cell_decimals(space_group: int, fmt: Format) -> list[int]:
    """Return the decimals of each free cell parameter."""
    names = free_parameter_names(space_group)
    return [fmt.length_decimals if len(name) == 1 else fmt.angle_decimals for name in names]


def _orbit_line(orbit: Orbit, places: int) -> str:
    free = [f"{round(x, places) % 1.0:.{places}f}" for x in orbit.free_coordinates.tolist()]
    return " ".join([SYMBOLS[orbit.atomic_number - 1], orbit.position.name, *free])


def read_wyckoff_lines(
    lines: list[str], line_numbers: Sequence[int], fmt: Format | None
) -> Decoded:
    """Read the strict form. The crystal comes in a primitive cell, reduced after Niggli.

    Args:
        lines: of the text.
        line_numbers: what to call each of them where a fault is told.
        fmt: gives the decimals that every number must have; None takes any.
    """
    found = _parse_orbits(lines, line_numbers, fmt)
    if isinstance(found, Decoded):
        return found
    crystal = from_wyckoff(found)
    if crystal.volume > 0:
        return Decoded(crystal)
    # A primitive cell may be so much flatter than the conventional one that none is left.
    return failure_at(DecodeFailure.NO_VOLUME, len(lines) - 1, lines, line_numbers)


def parse_wyckoff(text: str) -> WyckoffCrystal | None:
    """Return the space group, orbits and cell that a text declares; None where it declares none."""
    if not is_wyckoff_text(text):
        return None
    lines = text.split("\n")
    found = _parse_orbits(lines, range(1, len(lines) + 1), None)
    return None if isinstance(found, Decoded) else found


def _parse_orbits(
    lines: list[str], line_numbers: Sequence[int], fmt: Format | None
) -> WyckoffCrystal | Decoded:
    """Return what a text declares, or why it cannot be read; for the arguments see above."""

    def fault(kind: DecodeFailure, index: int) -> Decoded:
        return failure_at(kind, index, lines, line_numbers)

    if not is_space_group_line(lines[0]):
        return fault(DecodeFailure.UNKNOWN_SPACE_GROUP, 0)
    group = int(lines[0])
    if len(lines) < 2:
        return fault(DecodeFailure.TRUNCATED, 1)
    last = len(lines) - 1
    orbits: list[Orbit] = []
    for i in range(1, last):
        found = _parse_orbit(lines[i], group)
        if isinstance(found, DecodeFailure):
            return fault(found, i)
        if not found.free_coordinates.size and any(
            found.position is other.position for other in orbits
        ):
            return fault(DecodeFailure.POINT_TAKEN, i)
        try:
            primitive_sites(found)
        except InputError as error:
            return Decoded(None, DecodeFailure.HIGHER_SYMMETRY, line_numbers[i], str(error))
        orbits.append(found)
    cell = _parse_numbers(lines[last].split(" "))
    if cell is None or len(cell) != len(free_parameter_names(group)):
        return fault(
            DecodeFailure.TRUNCATED
            if _is_truncated(lines[last], group)
            else DecodeFailure.BAD_CELL,
            last,
        )
    if not orbits:
        return fault(DecodeFailure.NO_ATOMS, last)
    if min(cell) <= 0:
        return fault(DecodeFailure.BAD_CELL, last)
    _, angles = cell_parameters(group, cell)
    if not (angles.max() < 180 and angles_form_cell(*angles.tolist())):
        return fault(DecodeFailure.NO_VOLUME, last)
    if fmt is not None and (wrong := _wrong_precision(lines, group, fmt)) is not None:
        return fault(DecodeFailure.WRONG_PRECISION, wrong)
    return WyckoffCrystal(group, tuple(orbits), tuple(cell))


def is_wyckoff_text(text: str) -> bool:
    """Tell whether a text begins as one written by symmetry: its first line is a whole number."""
    first, newline, _ = text.partition("\n")
    return bool(newline and _SPACE_GROUP.fullmatch(first.strip()))


def is_space_group_line(line: str) -> bool:
    """Tell whether a line is the number of a space group."""
    return bool(_SPACE_GROUP.fullmatch(line)) and int(line) <= N_SPACE_GROUPS


def _is_truncated(line: str, group: int) -> bool:
    """Tell whether the text's last line is the start of an orbit's line or of the cell's."""
    if line in SYMBOL_STARTS:
        return True
    if orbit := _ORBIT_START.fullmatch(line):
        return orbit["symbol"] in ATOMIC_NUMBERS
    before = len(free_parameter_names(group)) - 1
    return bool(re.fullmatch(rf"(?:{_DIGITS} ){{0,{before}}}{_DIGITS_START}", line))


def _parse_orbit(line: str, group: int) -> Orbit | DecodeFailure:
    symbol, _, rest = line.partition(" ")
    name, *numbers = rest.split(" ")
    if symbol not in ATOMIC_NUMBERS:
        return DecodeFailure.UNKNOWN_ELEMENT
    position = wyckoff_positions(group).get(name[-1:])
    if position is None or position.name != name:
        return DecodeFailure.UNKNOWN_POSITION
    free = _parse_numbers(numbers)
    if free is None or len(free) != len(position.free_axes) or max(free, default=0.0) >= 1:
        return DecodeFailure.BAD_POSITION
    return Orbit(ATOMIC_NUMBERS[symbol], position, np.array(free))


def _parse_numbers(words: list[str]) -> list[float] | None:
    if not all(NUMBER_PATTERN.fullmatch(word) for word in words):
        return None
    return [float(word) for word in words]


def _wrong_precision(lines: list[str], space_group: int, fmt: Format) -> int | None:
    """Return the index of the first line whose numbers have other decimals than the format's."""
    for i, line in enumerate(lines[1:-1], start=1):
        if any(_decimals(word) != fmt.coordinate_decimals for word in line.split(" ")[2:]):
            return i
    places = _cell_decimals(space_group, fmt)
    found = [_decimals(word) for word in lines[-1].split(" ")]
    return None if found == places else len(lines) - 1


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])
