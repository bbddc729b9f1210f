"""Tiles of a periodic table, one per element, coloured by the number of crystals with it."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.evaluate.html.numbers import format_percent
from crystext.evaluate.report import LabelCounts

_MARKED_RATIO = 2.0
"""Ratio to the reference, or its inverse, from which an element is marked."""

_MIN_COUNT = 10
"""Number of crystals, samples and reference together, below which a ratio is meaningless."""

_STRONG_TILE = 0.85
"""Strength of a tile's colour above which its text uses the other colour."""


class Tile(NamedTuple):
    """An element on the page."""

    symbol: str
    row: int
    column: int
    classes: str
    """In the page's style."""
    strength: str
    """Of its colour, in percent."""
    text: str
    mark: str
    """Whether the element is more or less frequent than in the reference."""
    description: str


def periodic_table(label_counts: LabelCounts) -> list[Tile]:
    """Return tiles with a colour strength that grows with the number of crystals with the element.

    Args:
        label_counts: crystals by element symbol; other labels are left out.
    """
    total = label_counts.total or sum(label_counts.counts)
    known = label_counts.reference_total
    counts = dict(zip(label_counts.labels, label_counts.counts, strict=True))
    others = dict(zip(label_counts.labels, label_counts.reference_counts or (), strict=False))
    top = max([counts.get(symbol, 0) for symbol in SYMBOLS], default=0) or 1
    tiles = []
    for symbol in SYMBOLS:
        row, column = grid_positions()[symbol]
        count, other = counts.get(symbol, 0), others.get(symbol, 0)
        proportion = count / max(total, 1)
        description = f"{symbol}: {format_percent(proportion)} of the samples"
        reference = other / known if known else None
        if reference is not None:
            description += f", {format_percent(reference)} of the reference"
        # The square root separates the many rare elements, which would all look absent.
        strength = math.sqrt(count / top)
        classes = ["tile", "strong"] if strength > _STRONG_TILE else ["tile"]
        if not count and not other:
            classes.append("absent")
        tiles.append(
            Tile(
                symbol,
                row,
                column,
                " ".join(classes),
                f"{100 * strength:.0f}",
                format_percent(proportion) if count else "",
                _mark(proportion, reference, count + other),
                description,
            )
        )
    return tiles


@cache
def grid_positions() -> dict[str, tuple[int, int]]:
    """Return row and column of each element, lanthanides and actinides in separate rows."""
    from pymatgen.core.periodic_table import Element

    found = {}
    for symbol, number in ATOMIC_NUMBERS.items():
        series = 57 if 57 <= number <= 71 else 89 if 89 <= number <= 103 else None
        if series is None:
            element = Element(symbol)
            found[symbol] = (element.row, element.group)
        else:
            found[symbol] = (9 if series == 57 else 10, 3 + number - series)
    return found


def _mark(proportion: float, reference: float | None, count: int) -> str:
    if reference is None or count < _MIN_COUNT:
        return ""
    if proportion > _MARKED_RATIO * reference:
        return "▲"
    return "▼" if _MARKED_RATIO * proportion < reference else ""
