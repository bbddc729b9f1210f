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
from crystext.structures.crystal import Crystal, angles_close
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameters
from crystext.structures.wyckoff.orbits import (
    Orbit,
    SymmetricCrystal,
    compose,
    decompose,
    primitive_sites,
)
from crystext.structures.wyckoff.positions import GROUPS, positions
from crystext.text.coordinates import SYMBOL_STARTS
from crystext.text.failures import Decoded, Fault, fault_at
from crystext.text.formats import WYCKOFF, Format

_LARGEST = 999.0
_GROUP = re.compile(r"[1-9][0-9]{0,2}")
_DIGITS = r"[0-9]{1,3}(?:\.[0-9]{1,12})?"
_DIGITS_START = r"(?:[0-9]{1,3}(?:\.[0-9]{0,12})?)?"
NUMBER = re.compile(_DIGITS)
"""A coordinate or a parameter of the cell."""
_ORBIT_START = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)"
    rf"(?: (?:[0-9]{{0,3}}|[0-9]{{1,3}}[a-zA](?: {_DIGITS}){{0,2}}(?: {_DIGITS_START})?))?"
)
"""An orbit's line of which the end may be missing."""


def encode_symmetric(crystal: Crystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal by its symmetry.

    Args:
        crystal: any description of it.
        fmt: gives the decimals of lengths, angles and coordinates.

    Raises:
        InputError: no symmetry is found, or the crystal so written would not be read.
    """
    text = write_orbits(decompose(crystal), fmt)
    # Takes some percent of what it takes to find the symmetry.
    lines = text.split("\n")
    read = read_symmetric(lines, range(1, len(lines) + 1), fmt)
    if read.fault is not None:
        raise InputError(
            f"the format {fmt.name} cannot hold the crystal: {read.fault.value}; its text would be "
            f"{text!r}"
        )
    return text


def write_orbits(symmetric: SymmetricCrystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal that is given by its orbits, these in the order in which they are.

    What it writes of orbits that lie on each other, or do so when rounded, is not read again.

    Raises:
        InputError: the cell is too large or too small for the format.
    """
    places = _cell_decimals(symmetric.space_group, fmt)
    if not all(0.5 * 10.0**-n < x < _LARGEST for x, n in zip(symmetric.cell, places, strict=True)):
        raise InputError(
            f"the format {fmt.name} cannot hold the cell {symmetric.cell}: its numbers have "
            f"{fmt.length_decimals} decimals and are below {_LARGEST:g}"
        )
    cell = [f"{x:.{n}f}" for x, n in zip(symmetric.cell, places, strict=True)]
    orbits = [_orbit_line(orbit, fmt.coordinate_decimals) for orbit in symmetric.orbits]
    return "\n".join([str(symmetric.space_group), *orbits, " ".join(cell)])


def _cell_decimals(space_group: int, fmt: Format) -> list[int]:
    """Return the decimals of each free cell parameter."""
    names = free_parameters(space_group)
    return [fmt.length_decimals if len(name) == 1 else fmt.angle_decimals for name in names]


def _orbit_line(orbit: Orbit, places: int) -> str:
    free = [f"{round(x, places) % 1.0:.{places}f}" for x in orbit.free.tolist()]
    return " ".join([SYMBOLS[orbit.number - 1], orbit.position.name, *free])


def read_symmetric(lines: list[str], line_numbers: Sequence[int], fmt: Format | None) -> Decoded:
    """Read the strict form. The crystal comes in a primitive cell, reduced after Niggli.

    Args:
        lines: of the text.
        line_numbers: what to call each of them where a fault is told.
        fmt: gives the decimals that every number must have; None takes any.
    """
    found = _read_orbits(lines, line_numbers, fmt)
    if isinstance(found, Decoded):
        return found
    crystal = compose(found)
    if crystal.volume > 0:
        return Decoded(crystal)
    # A primitive cell may be so much flatter than the conventional one that none is left.
    return fault_at(Fault.NO_VOLUME, len(lines) - 1, lines, line_numbers)


def declared_symmetry(text: str) -> SymmetricCrystal | None:
    """Return the space group, orbits and cell that a text declares; None where it declares none."""
    if not is_symmetric(text):
        return None
    lines = text.split("\n")
    found = _read_orbits(lines, range(1, len(lines) + 1), None)
    return None if isinstance(found, Decoded) else found


def _read_orbits(
    lines: list[str], line_numbers: Sequence[int], fmt: Format | None
) -> SymmetricCrystal | Decoded:
    """Return what a text declares, or why it cannot be read; for the arguments see above."""

    def fault(kind: Fault, index: int) -> Decoded:
        return fault_at(kind, index, lines, line_numbers)

    if not is_group(lines[0]):
        return fault(Fault.UNKNOWN_SPACE_GROUP, 0)
    group = int(lines[0])
    if len(lines) < 2:
        return fault(Fault.TRUNCATED, 1)
    last = len(lines) - 1
    orbits: list[Orbit] = []
    for i in range(1, last):
        found = _read_orbit(lines[i], group)
        if isinstance(found, Fault):
            return fault(found, i)
        if not found.free.size and any(found.position is other.position for other in orbits):
            return fault(Fault.POINT_TAKEN, i)
        try:
            primitive_sites(found)
        except InputError as error:
            return Decoded(None, Fault.HIGHER_SYMMETRY, line_numbers[i], str(error))
        orbits.append(found)
    cell = _numbers(lines[last].split(" "))
    if cell is None or len(cell) != len(free_parameters(group)):
        return fault(Fault.TRUNCATED if _breaks_off(lines[last], group) else Fault.BAD_CELL, last)
    if not orbits:
        return fault(Fault.NO_ATOMS, last)
    if min(cell) <= 0:
        return fault(Fault.BAD_CELL, last)
    _, angles = cell_parameters(group, cell)
    if not (angles.max() < 180 and angles_close(*angles.tolist())):
        return fault(Fault.NO_VOLUME, last)
    if fmt is not None and (wrong := _wrong_precision(lines, group, fmt)) is not None:
        return fault(Fault.WRONG_PRECISION, wrong)
    return SymmetricCrystal(group, tuple(orbits), tuple(cell))


def is_symmetric(text: str) -> bool:
    """Tell whether a text begins as one written by symmetry: its first line is a whole number."""
    first, newline, _ = text.partition("\n")
    return bool(newline and _GROUP.fullmatch(first.strip()))


def is_group(line: str) -> bool:
    """Tell whether a line is the number of a space group."""
    return bool(_GROUP.fullmatch(line)) and int(line) <= GROUPS


def _breaks_off(line: str, group: int) -> bool:
    """Tell whether the text's last line is the start of an orbit's line or of the cell's."""
    if line in SYMBOL_STARTS:
        return True
    if orbit := _ORBIT_START.fullmatch(line):
        return orbit["symbol"] in ATOMIC_NUMBERS
    before = len(free_parameters(group)) - 1
    return bool(re.fullmatch(rf"(?:{_DIGITS} ){{0,{before}}}{_DIGITS_START}", line))


def _read_orbit(line: str, group: int) -> Orbit | Fault:
    symbol, _, rest = line.partition(" ")
    name, *numbers = rest.split(" ")
    if symbol not in ATOMIC_NUMBERS:
        return Fault.UNKNOWN_ELEMENT
    position = positions(group).get(name[-1:])
    if position is None or position.name != name:
        return Fault.UNKNOWN_POSITION
    free = _numbers(numbers)
    if free is None or len(free) != len(position.free) or max(free, default=0.0) >= 1:
        return Fault.BAD_POSITION
    return Orbit(ATOMIC_NUMBERS[symbol], position, np.array(free))


def _numbers(words: list[str]) -> list[float] | None:
    if not all(NUMBER.fullmatch(word) for word in words):
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
