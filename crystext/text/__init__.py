"""Crystal to text and back.

`base` has the interface of a format, `coordinates` and `wyckoff` the formats, `formats` their
registry, and `failures` the reasons why a text is not a crystal. `lines` and `lenient` read single
lines, strictly and loosely. `partial` leaves parts of a text out, and `regex` describes texts by a
regular expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.text.base import Format
from crystext.text.coordinates import COORDINATE_FORMATS, PLAIN
from crystext.text.failures import Decoded, DecodeFailure
from crystext.text.formats import (
    FORMATS,
    get_format,
    leniently_recognized_format,
    recognized_format,
)
from crystext.text.wyckoff import WYCKOFF

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
    "get_format",
]


def encode(crystal: Crystal | Structure, format: str | Format = PLAIN) -> str:
    """Write a crystal as text. `as_crystal` makes one of whatever else holds a structure.

    In the coordinate formats coordinates are wrapped into the cell; one that would be printed as 1
    is printed as 0, save in the published format. That format also prints the cells it spoils:
    angles that form a cell, and once cut to integers form none.

    Raises:
        InputError: it is neither, or disordered, or otherwise no crystal (see `Crystal`), or the
            format's decimals cannot hold its cell, or no symmetry is found.
        SettingError: no such format.
    """
    fmt = get_format(format)
    if not isinstance(crystal, Crystal):
        crystal = Crystal.from_structure(crystal)
    return fmt.encode(crystal)


def decode(text: str, *, format: str | Format | None = None, strict: bool = True) -> Decoded:
    """Read a crystal from text. Never raises for the content of a text, only for other objects.

    Args:
        text: as `encode` writes it.
        format: where given, the text must be in this format, and every number have its decimals.
            None takes the format that recognizes the text, with any decimals, and takes the
            coordinate 1 that the published format may hold, as 0.
        strict: True accepts exactly the line structure of the format. False also
            takes prose before and after the crystal, blank lines, stray spaces, commas between
            numbers, element symbols in wrong case, and coordinates outside [0, 1), which it wraps;
            `Decoded.repairs` says what it met. What reads strictly reads the same either way.

    Raises:
        InputError: it is not a text, but None or another object.
        SettingError: no such format.
    """
    fmt = None if format is None else get_format(format)
    if not isinstance(text, str):
        raise InputError(
            f"a crystal cannot be read from {_describe_type(text)}; expected a text such as encode "
            "writes"
        )
    if fmt is not None:
        return fmt.decode(text, strict=strict)
    decoded = recognized_format(text).decode(text, exact=False)
    if strict or decoded or not text.strip():
        return decoded
    return leniently_recognized_format(text).decode(text, strict=False, exact=False)


def _describe_type(value: object) -> str:
    return "None" if value is None else f"a value of the type {type(value).__name__}"
