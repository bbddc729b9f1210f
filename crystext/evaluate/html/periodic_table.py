"""How many crystals hold each element, on a periodic table."""

from __future__ import annotations

import math
from functools import cache
from xml.etree.ElementTree import Element

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.evaluate.html.markup import tag
from crystext.evaluate.html.numbers import format_percent
from crystext.evaluate.report import LabelCounts

_MARKED_RATIO = 2.0
"""How many times more or less than the reference an element occurs to be marked."""

_MIN_COUNT = 10
"""Crystals, drawn and of the reference together, below which a ratio says nothing."""

_STRONG_TILE = 0.85
"""Strength of a tile's colour above which its text is written in the other one."""


def periodic_table(label_counts: LabelCounts) -> Element:
    """Return a table whose tiles are the stronger the more of the crystals hold the element.

    Args:
        label_counts: crystals by element symbol; other labels are left out.
    """
    drawn, known = label_counts.of or sum(label_counts.counts), label_counts.reference_of
    counts = dict(zip(label_counts.labels, label_counts.counts, strict=True))
    others = dict(zip(label_counts.labels, label_counts.reference_counts or (), strict=False))
    top = max([counts.get(symbol, 0) for symbol in SYMBOLS], default=0) or 1
    tiles = []
    for symbol in SYMBOLS:
        row, column = grid_positions()[symbol]
        count, other = counts.get(symbol, 0), others.get(symbol, 0)
        share = count / max(drawn, 1)
        told = f"{symbol}: {format_percent(share)} of the crystals drawn"
        reference = other / known if known else None
        if reference is not None:
            told += f", {format_percent(reference)} of the reference"
        # The root spreads the many rare elements, which would all look like none.
        strength = math.sqrt(count / top)
        classes = ["tile", "strong"] if strength > _STRONG_TILE else ["tile"]
        if not count and not other:
            classes.append("absent")
        tiles.append(
            tag(
                "div",
                tag("b", symbol),
                tag("i", format_percent(share) if count else ""),
                tag("u", _mark(share, reference, count + other)),
                class_=" ".join(classes),
                style=f"grid-area:{row}/{column};--strength:{100 * strength:.0f}%",
                title=told,
            )
        )
    text = "Periodic table, coloured by the share of the crystals that hold an element"
    return tag("div", *tiles, class_="periodic", role="img", aria_label=text)


@cache
def grid_positions() -> dict[str, tuple[int, int]]:
    """Return row and column of each element, lanthanides and actinides in rows of their own."""
    from pymatgen.core.periodic_table import Element as Known

    found = {}
    for symbol, number in ATOMIC_NUMBERS.items():
        series = 57 if 57 <= number <= 71 else 89 if 89 <= number <= 103 else None
        if series is None:
            element = Known(symbol)
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
