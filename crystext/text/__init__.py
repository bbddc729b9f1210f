"""Encode crystals as text and decode them.

`base` defines the interface of a format, `coordinates` and `wyckoff` the formats, `formats` their
registry, and `failures` the reasons why a text is not a crystal. `lines` and `lenient` read single
lines, strictly and leniently. `partial` leaves parts of a text out, and `regex` describes texts by
a regular expression.
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
    """Write a crystal as text. `as_crystal` converts other objects and files to a crystal.

    In the coordinate formats coordinates are wrapped into the cell; one that would be printed as 1
    is printed as 0, except in the published format. That format also writes cells that it breaks:
    angles that form a cell may no longer do so once cut to integers.

    Raises:
        InputError: it is neither, is disordered or otherwise not a crystal (see `Crystal`), the
            format's decimals cannot represent its cell, or spglib finds no symmetry.
        SettingError: the format does not exist.
    """
    fmt = get_format(format)
    if not isinstance(crystal, Crystal):
        crystal = Crystal.from_structure(crystal)
    return fmt.encode(crystal)


def decode(text: str, *, format: str | Format | None = None, strict: bool = True) -> Decoded:
    """Read a crystal from text. Never raises for the content of a text, only for other objects.

    Args:
        text: as `encode` writes it.
        format: if given, the text must be in this format, and every number must have its decimals.
            None takes the format that recognizes the text, with any decimals, and reads the
            coordinate 1, which the published format may write, as 0.
        strict: True accepts exactly the line structure of the format. False also
            accepts prose before and after the crystal, blank lines, stray spaces, commas between
            numbers, element symbols in wrong case, and coordinates outside [0, 1), which it wraps;
            `Decoded.repairs` lists the repairs. A strictly valid text reads the same either way.

    Raises:
        InputError: the object is not a text.
        SettingError: the format does not exist.
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
