"""The registry of text formats, and the recognition of a text's format."""

from __future__ import annotations

from collections.abc import Iterator

from crystext.runtime.registry import Registry
from crystext.text.base import Format
from crystext.text.coordinates import PLAIN
from crystext.text.lenient import strip_lines

MAX_LENGTH, MAX_ANGLE = 100, 180
"""Grammars sample cell lengths below this many Å, and cell angles below this many degrees."""

FORMATS = Registry(
    "format",
    Format,  # type: ignore[type-abstract]  # the class itself is never instantiated
    {
        "plain": "crystext.text.coordinates:PLAIN",
        "gruver2024": "crystext.text.coordinates:GRUVER2024",
        "gruver2024-rounded": "crystext.text.coordinates:GRUVER2024_ROUNDED",
        "wyckoff": "crystext.text.wyckoff:WYCKOFF",
    },
)
"""Formats by name. Plugins add theirs by entry points of the group `crystext.formats`."""


def get_format(name: str | Format) -> Format:
    """Return the format of that name, or raise `SettingError` that lists all formats."""
    return name if isinstance(name, Format) else FORMATS.find(name)


def recognized_format(text: str) -> Format:
    """Return the first format that recognizes a text, else `plain`, whose failure says why.

    Formats of one class differ only in decimals, so the first represents all of them. Plugins are
    imported only if no format of the package recognizes the text.
    """
    return next((fmt for fmt in _one_of_each_class() if fmt.recognizes(text)), PLAIN)


def leniently_recognized_format(text: str) -> Format:
    """Return the format of the first crystal in a loosely written text."""
    lines = strip_lines(text.split("\n"), {})
    starts = [
        (start, fmt)
        for fmt in _one_of_each_class()
        if (start := fmt.lenient_start(lines)) is not None
    ]
    if not starts:
        return recognized_format("\n".join(line.text for line in lines))
    return min(starts, key=lambda found: found[0])[1]


def _one_of_each_class() -> Iterator[Format]:
    seen = set()
    for fmt in FORMATS.values():
        if type(fmt) not in seen:
            seen.add(type(fmt))
            yield fmt
