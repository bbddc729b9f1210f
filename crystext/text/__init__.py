"""Crystal to text and back.

`formats` says which texts there are and `faults` why one is no crystal; `plain` writes and reads
the text that lists every atom, `symmetric` that by space group and orbits, and `tidy` takes either
sloppily written. `pattern` has the plain text as a regular expression.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.text.coordinates import encode_as_ordered, read_plain, read_triple
from crystext.text.failures import Decoded, Fault
from crystext.text.formats import COORDINATE_FORMATS, FORMATS, PLAIN, WYCKOFF, Format, get_format
from crystext.text.lenient import (
    is_loosely_symmetric,
    may_be_angles,
    tidy_lines,
    tidy_symmetric_lines,
)
from crystext.text.wyckoff import encode_symmetric, is_symmetric, read_symmetric

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

__all__ = [
    "COORDINATE_FORMATS",
    "FORMATS",
    "PLAIN",
    "WYCKOFF",
    "Decoded",
    "Fault",
    "Format",
    "decode",
    "encode",
    "encode_as_ordered",
    "get_format",
]


def encode(crystal: Crystal | Structure, format: str | Format = PLAIN) -> str:
    """Write a crystal as text. `as_crystal` makes one of whatever else holds a structure.

    In the plain formats coordinates are wrapped into the cell; one that would be printed as 1 is
    printed as 0, save in the published format. That format also prints the cells it spoils: angles
    that form a cell, and once cut to integers form none.

    Raises:
        InputError: it is neither, or disordered, or otherwise no crystal (see `Crystal`), or the
            format's decimals cannot hold its cell, or no symmetry is found.
        SettingError: no such format.
    """
    fmt = get_format(format)
    if not isinstance(crystal, Crystal):
        crystal = Crystal.from_structure(crystal)
    if fmt.by_symmetry:
        return encode_symmetric(crystal, fmt)
    return encode_as_ordered(crystal.in_text_order(), fmt)


def decode(text: str, *, format: str | Format | None = None, strict: bool = True) -> Decoded:
    """Read a crystal from text. Never raises for what the text holds; what is no text is refused.

    Args:
        text: as `encode` writes it.
        format: where given, the text must be in this format, and every number have its decimals.
            None takes any, and takes the coordinate 1 that the published format may hold, as 0.
        strict: True accepts exactly the line structure of the format. False also
            takes prose before and after the crystal, blank lines, stray spaces, commas between
            numbers, element symbols in wrong case, and coordinates outside [0, 1), which it wraps;
            `Decoded.forgiven` says what it met. What reads strictly reads the same either way.

    Raises:
        InputError: it is no text, but None or another object.
        SettingError: no such format.
    """
    fmt = None if format is None else get_format(format)
    if not isinstance(text, str):
        raise InputError(
            f"a crystal cannot be read from {_kind(text)}; expected a text such as encode writes"
        )
    if not text.strip():
        return Decoded(None, Fault.EMPTY, 1, "nothing but white space" if text else "nothing")
    lines = text.split("\n")
    by_symmetry = fmt.by_symmetry if fmt is not None else is_symmetric(text)
    read = read_symmetric if by_symmetry else read_plain
    decoded = read(lines, range(1, len(lines) + 1), fmt)
    if strict or decoded:
        return decoded
    if fmt is None:
        by_symmetry = is_loosely_symmetric(lines)
    if by_symmetry:
        tidy, forgiven = tidy_symmetric_lines(lines)
        decoded = read_symmetric([line.text for line in tidy], [line.number for line in tidy], fmt)
        return replace(decoded, forgiven=forgiven)
    tidy, forgiven = tidy_lines(lines)
    if len(tidy) > 1 and (angles := read_triple(tidy[1].text)) and not may_be_angles(angles):
        return Decoded(None, Fault.BAD_ANGLES, tidy[1].number, repr(tidy[1].text), forgiven)
    decoded = read_plain([line.text for line in tidy], [line.number for line in tidy], fmt)
    return replace(decoded, forgiven=forgiven)


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of the type {type(value).__name__}"
