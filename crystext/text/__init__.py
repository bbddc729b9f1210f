"""Crystal to text and back.

`formats` says which texts there are and `failures` why one is no crystal; `coordinates` writes and
reads the text that lists every atom, `wyckoff` that by space group and orbits, and `lenient` takes
either sloppily written. `regex` has the coordinate text as a regular expression.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.text.coordinates import encode_in_given_order, parse_triple, read_coordinate_lines
from crystext.text.failures import Decoded, DecodeFailure
from crystext.text.formats import COORDINATE_FORMATS, FORMATS, PLAIN, WYCKOFF, Format, get_format
from crystext.text.lenient import (
    is_lenient_wyckoff,
    may_be_angles,
    repair_lines,
    repair_wyckoff_lines,
)
from crystext.text.wyckoff import encode_wyckoff, is_wyckoff_text, read_wyckoff_lines

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

__all__ = [
    "COORDINATE_FORMATS",
    "FORMATS",
    "PLAIN",
    "WYCKOFF",
    "DecodeFailure",
    "Decoded",
    "Format",
    "decode",
    "encode",
    "encode_in_given_order",
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
    if fmt.is_wyckoff:
        return encode_wyckoff(crystal, fmt)
    return encode_in_given_order(crystal.in_text_order(), fmt)


def decode(text: str, *, format: str | Format | None = None, strict: bool = True) -> Decoded:
    """Read a crystal from text. Never raises for what the text holds; what is no text is refused.

    Args:
        text: as `encode` writes it.
        format: where given, the text must be in this format, and every number have its decimals.
            None takes any, and takes the coordinate 1 that the published format may hold, as 0.
        strict: True accepts exactly the line structure of the format. False also
            takes prose before and after the crystal, blank lines, stray spaces, commas between
            numbers, element symbols in wrong case, and coordinates outside [0, 1), which it wraps;
            `Decoded.repairs` says what it met. What reads strictly reads the same either way.

    Raises:
        InputError: it is no text, but None or another object.
        SettingError: no such format.
    """
    fmt = None if format is None else get_format(format)
    if not isinstance(text, str):
        raise InputError(
            f"a crystal cannot be read from {_describe_type(text)}; expected a text such as encode "
            "writes"
        )
    if not text.strip():
        return Decoded(
            None, DecodeFailure.EMPTY, 1, "nothing but white space" if text else "nothing"
        )
    lines = text.split("\n")
    wyckoff = fmt.is_wyckoff if fmt is not None else is_wyckoff_text(text)
    read = read_wyckoff_lines if wyckoff else read_coordinate_lines
    decoded = read(lines, range(1, len(lines) + 1), fmt)
    if strict or decoded:
        return decoded
    if fmt is None:
        wyckoff = is_lenient_wyckoff(lines)
    if wyckoff:
        repaired, repairs = repair_wyckoff_lines(lines)
        decoded = read_wyckoff_lines(
            [line.text for line in repaired], [line.number for line in repaired], fmt
        )
        return replace(decoded, repairs=repairs)
    repaired, repairs = repair_lines(lines)
    if (
        len(repaired) > 1
        and (angles := parse_triple(repaired[1].text))
        and not may_be_angles(angles)
    ):
        return Decoded(
            None, DecodeFailure.BAD_ANGLES, repaired[1].number, repr(repaired[1].text), repairs
        )
    decoded = read_coordinate_lines(
        [line.text for line in repaired], [line.number for line in repaired], fmt
    )
    return replace(decoded, repairs=repairs)


def _describe_type(value: object) -> str:
    return "None" if value is None else f"a value of the type {type(value).__name__}"
