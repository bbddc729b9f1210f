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
from dataclasses import replace

import numpy as np

from crystext.codec.faults import Decoded, Fault
from crystext.codec.formats import WYCKOFF, Format
from crystext.crystal import Crystal, angles_close
from crystext.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.wyckoff.cells import cell_parameters, free_parameters
from crystext.wyckoff.orbits import Orbit, SymmetricCrystal, compose, decompose, primitive_sites
from crystext.wyckoff.positions import positions

_GROUP = re.compile(r"[1-9][0-9]{0,2}")
_LARGEST = 999.0
_NUMBER = re.compile(r"[0-9]{1,3}\.[0-9]{1,12}|[0-9]{1,3}")


def encode_symmetric(crystal: Crystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal by its symmetry.

    Args:
        crystal: any description of it.
        fmt: gives the decimals of lengths, angles and coordinates.

    Raises:
        InputError: no symmetry is found, or the crystal cannot be written in it.
    """
    return write_orbits(decompose(crystal), fmt)


def write_orbits(symmetric: SymmetricCrystal, fmt: Format = WYCKOFF) -> str:
    """Write a crystal that is given by its orbits, these in the order in which they are.

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


def decode_symmetric(text: str, fmt: Format | None = None, *, strict: bool = True) -> Decoded:
    """Read a crystal that is written by its symmetry. Never raises for what the text holds.

    The crystal comes in a primitive cell, reduced after Niggli.

    Args:
        text: as `encode_symmetric` writes it.
        fmt: gives the decimals that every number must have; None takes any.
        strict: False also takes stray spaces and blank lines.
    """
    lines = text.split("\n")
    if not text.strip():
        return Decoded(None, Fault.EMPTY, 1, "nothing but white space" if text else "nothing")
    if not strict:
        kept = [(i, " ".join(line.split())) for i, line in enumerate(lines, 1) if line.strip()]
        tidy = [line for _, line in kept]
        if tidy != lines:
            decoded = decode_symmetric("\n".join(tidy), fmt)
            number = None if decoded.line is None else kept[decoded.line - 1][0]
            return replace(decoded, line=number, forgiven=("stray spaces or blank lines",))

    def fault(kind: Fault, index: int) -> Decoded:
        return Decoded(None, kind, index + 1, repr(lines[index][:60]))

    if not _GROUP.fullmatch(lines[0]) or int(lines[0]) > 230:
        return fault(Fault.UNKNOWN_SPACE_GROUP, 0)
    group = int(lines[0])
    if len(lines) < 3:
        return fault(Fault.NO_ATOMS, len(lines) - 1)
    orbits: list[Orbit] = []
    for i, line in enumerate(lines[1:-1], start=1):
        found = _read_orbit(line, group)
        if isinstance(found, Fault):
            return fault(found, i)
        if not found.free.size and any(found.position is other.position for other in orbits):
            return fault(Fault.POINT_TAKEN, i)
        try:
            primitive_sites(found)
        except InputError as error:
            return Decoded(None, Fault.HIGHER_SYMMETRY, i + 1, str(error))
        orbits.append(found)
    cell = _numbers(lines[-1].split(" "))
    if cell is None or len(cell) != len(free_parameters(group)) or min(cell) <= 0:
        return fault(Fault.BAD_CELL, len(lines) - 1)
    _, angles = cell_parameters(group, cell)
    if not (angles.max() < 180 and angles_close(*angles.tolist())):
        return fault(Fault.NO_VOLUME, len(lines) - 1)
    if fmt is not None and (wrong := _wrong_precision(lines, group, fmt)) is not None:
        return fault(Fault.WRONG_PRECISION, wrong)
    return Decoded(compose(SymmetricCrystal(group, tuple(orbits), tuple(cell))))


def is_symmetric(text: str) -> bool:
    """Tell whether a text begins as one written by symmetry: its first line is a whole number."""
    first, newline, _ = text.partition("\n")
    return bool(newline and _GROUP.fullmatch(first.strip()))


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
    if not all(_NUMBER.fullmatch(word) for word in words):
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
