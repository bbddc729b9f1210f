"""The formats that a crystal's text can have."""

from __future__ import annotations

from dataclasses import dataclass

from crystext.errors import SettingError, did_you_mean

MAX_LENGTH, MAX_ANGLE = 100, 180
"""Whole Å of a cell length and whole degrees of a cell angle stay below these."""


@dataclass(frozen=True)
class Format:
    """A way to write a crystal as text: what is written, and the decimals of its numbers."""

    name: str
    length_decimals: int
    angle_decimals: int
    coordinate_decimals: int
    as_published: bool = False
    """Cut angles to integers and let a coordinate that rounds up be printed as 1: the published
    encoder's behaviour, kept to read and compare its texts."""
    is_wyckoff: bool = False
    """Write space group, orbits and free cell parameters in place of all atoms' coordinates."""


PLAIN = Format("plain", length_decimals=2, angle_decimals=2, coordinate_decimals=3)
WYCKOFF = Format("wyckoff", 2, 2, 3, is_wyckoff=True)

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        PLAIN,
        Format("gruver2024", 1, 0, 2, as_published=True),
        Format("gruver2024-rounded", 1, 0, 2),
        WYCKOFF,
    )
}
"""Formats by name."""

COORDINATE_FORMATS = tuple(f for f in FORMATS.values() if not f.is_wyckoff)
"""The formats that list the coordinates of every atom."""


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
