"""Crystals of which a part is not known: the text that shows what is given, and the text asked for.

What is given is written like any crystal, with `?` for each line that is not known: the lengths,
the angles, an element, the coordinates of an atom. `...` at the end says that further atoms may
follow. The text asked for holds the lines that `?` stands for, from top to bottom, and then the
further atoms.

    given           asked for
    5.64 5.64 5.64
    ?               90.00 90.00 90.00
    Na
    ?               0.000 0.000 0.000
    ?               Cl
    0.500 0.500 0.500
    ...
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from crystext.codec import Format, encode_as_ordered
from crystext.crystal import Crystal
from crystext.elements import ELECTRONEGATIVITY_RANK
from crystext.errors import InputError
from crystext.prompts import DEFAULT_MARKS, Marks


@dataclass(frozen=True)
class Unknown:
    """Which parts of a crystal are not known. Sites are indices, from 0."""

    lengths: bool = False
    angles: bool = False
    elements: Collection[int] = ()
    """Sites whose element is not known."""
    positions: Collection[int] = ()
    """Sites whose coordinates are not known."""
    missing: Collection[int] = ()
    """Sites that are missing altogether, their number included."""


def write_partial(
    crystal: Crystal, unknown: Unknown, fmt: Format, marks: Marks = DEFAULT_MARKS
) -> tuple[str, str]:
    """Return what is given of a crystal, and what is asked for.

    Sites are written in text order; those of unknown element follow in the crystal's own order,
    since their place among the others would tell how electronegative they are. Missing sites come
    last, in text order. The values of what is unknown do not touch what is given.

    Raises:
        InputError: a site is not there, or the crystal cannot be written (see `encode`).
    """
    for site in (*unknown.elements, *unknown.positions, *unknown.missing):
        if not 0 <= site < len(crystal):
            raise InputError(
                f"there is no site {site}; the crystal's {len(crystal)} sites count from 0"
            )
    elements, positions, missing = map(
        frozenset, (unknown.elements, unknown.positions, unknown.missing)
    )

    def place(site: int) -> tuple[bool, bool, int]:
        unnamed = site in elements and site not in missing
        rank = 0 if unnamed else ELECTRONEGATIVITY_RANK[int(crystal.numbers[site])]
        return site in missing, unnamed, rank

    order = sorted(range(len(crystal)), key=place)
    lines = encode_as_ordered(
        Crystal(crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]),
        fmt,
    ).split("\n")
    hidden = [unknown.lengths, unknown.angles]
    for site in order:
        hidden += [site in elements, site in positions] if site not in missing else [False] * 2
    present = 2 + 2 * (len(order) - len(missing))
    given = [marks.mask if hide else line for line, hide in zip(lines, hidden, strict=True)][
        :present
    ]
    if missing:
        given.append(marks.more)
    wanted = [line for line, hide in zip(lines, hidden, strict=True) if hide]
    return "\n".join(given), "\n".join(wanted + lines[present:])


def mask_element(crystal: Crystal, symbol: str, fmt: Format, marks: Marks = DEFAULT_MARKS) -> str:
    """Return the text of a crystal with `?` on the line of every site of the element.

    Sites are masked, never substrings: masking C leaves Ca and Cl alone. They stay in their place,
    as Gruver et al. have it (arXiv:2402.04379, section 3): it tells how electronegative the element
    is beside the others. `write_partial` hides that too.

    Raises:
        InputError: the crystal has no such element, or cannot be written (see `encode`).
    """
    if symbol not in crystal.symbols:
        found = ", ".join(sorted(set(crystal.symbols)))
        raise InputError(f"there is no {symbol} to mask; the crystal holds {found}")
    lines = encode_as_ordered(crystal.in_text_order(), fmt).split("\n")
    lines[2::2] = [marks.mask if line == symbol else line for line in lines[2::2]]
    return "\n".join(lines)
