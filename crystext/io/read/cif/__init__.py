"""Reads a CIF as the crystal that it describes, or refuses it; never as another one.

Read: cells with every atom listed, and cells whose atoms follow from symmetry, by listed operations
or by the name of the group in any common spelling. Names and keywords in any case, text fields,
loops of one row, the dotted names of DDLm; magnetic CIFs as the crystal without its spins.

Refused: a file that contradicts itself where its atoms do not tell which part is wrong, a group
that is not known, an origin that is left open where it matters, sites that are occupied in part or
shared, hydrogen atoms that are attached to others and not placed, modulated structures.

Noted: what is only probable, such as P1 for a file that says nothing of symmetry, deuterium and
tritium read as hydrogen (a crystal here has elements, not isotopes), or a contradiction that the
atoms decide. A file without a doubt has no notes.

    grammar      text to names and values, by gemmi
    sites        rows to whole atoms; `elements` tells what types and labels mean
    operations   lists and Hall symbols to operations; `symbols` does so for names of groups
    declared     what the file says of its group by names and number
    symmetry     which operations the file may mean
    cell, build  sites and operations to a crystal, and what speaks against it; `formula` counts
    choice       which of several readings the atoms bear out
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.io.read.cif.choice import choose_reading
from crystext.io.read.cif.formula import formula_of
from crystext.io.read.cif.grammar import (
    UNKNOWN_VALUES,
    CifBlock,
    cif_blocks,
    looks_like_cif,
    parse_block,
)
from crystext.io.read.cif.sites import cif_number, read_site_table
from crystext.io.read.cif.symmetry import read_symmetry
from crystext.structures.crystal import Crystal, Floats, Ints

__all__ = [
    "CifReading",
    "PartialCif",
    "cif_blocks",
    "looks_like_cif",
    "read_cif",
    "read_partial_cif",
]

CELL_TAGS = tuple(
    f"_cell_{key}"
    for key in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)

_PLACEHOLDER_CELL = [1.0, 1.0, 1.0, 90.0, 90.0, 90.0]
"""Stands in for a cell that is not known, to find out whether there is any symmetry."""

VOLUME_TOLERANCE = 0.02
"""How far `_cell_volume` may be from the volume of the cell, as a ratio, without a note."""


class CifReading(NamedTuple):
    """A crystal with what is only probable about it."""

    crystal: Crystal
    notes: tuple[str, ...]
    labels: tuple[str, ...]
    """The file's labels of its sites where it lists every atom; empty where symmetry makes them."""


class PartialCif(NamedTuple):
    """What a CIF that lists every atom says of them; nan, or 0 for an element, where it has `?`."""

    lengths: Floats
    angles: Floats
    numbers: Ints
    positions: Floats
    labels: tuple[str, ...]


def read_cif(text: str, *, lenient: bool = False) -> CifReading:
    """Read the first data block of a CIF that lists atoms.

    Args:
        text: the CIF.
        lenient: where it contradicts itself, take the likeliest reading and note the contradiction.

    Raises:
        InputError: it is no CIF, no whole crystal, or contradicts itself; see the package.
    """
    block = parse_block(text)
    values = _cell_parameters(block)
    for name, value in zip(CELL_TAGS, values, strict=True):
        if not math.isfinite(value):
            found = block.first_value(name)
            raise InputError(
                f"its {name} is {found!r}; expected a number"
                if found
                else f"its {name} is not known; expected a number"
            )
    lengths, angles = np.array(values[:3]), np.array(values[3:])
    Crystal(lengths, angles, np.array([1]), np.zeros((1, 3))).check()
    table = read_site_table(block)
    symmetry = read_symmetry(block, lengths, angles)
    choice = choose_reading(
        table.rows, symmetry, lengths, angles, formula_of(block), lenient=lenient
    )
    crystal = choice.built.crystal
    notes = [*table.notes, *choice.notes, *_volume_note(block, crystal)]
    whole = choice.candidate.operations.is_identity and len(crystal) == len(table.rows)
    labels = tuple(row.label for row in table.rows) if whole else ()
    return CifReading(crystal, tuple(dict.fromkeys(notes)), labels)


def read_partial_cif(text: str) -> PartialCif | None:
    """Read a CIF that has `?` where something is not known; None for one in which all is known.

    Raises:
        InputError: something in it is not known, and its atoms follow from symmetry; or what is
            known is wrong.
    """
    block = parse_block(text)
    values = _cell_parameters(block)
    table = read_site_table(block, partial=True)
    unknown = not all(map(math.isfinite, values)) or any(
        row.number == 0 or not all(map(math.isfinite, row.position)) for row in table.rows
    )
    if not unknown:
        return None
    known = values if all(map(math.isfinite, values)) else _PLACEHOLDER_CELL
    symmetry = read_symmetry(block, np.array(known[:3]), np.array(known[3:]))
    if any(not candidate.operations.is_identity for candidate in symmetry.candidates):
        raise InputError(
            "something in it is not known, and its atoms follow from symmetry; expected every atom "
            "to be listed, in P 1"
        )
    for name, value in zip(CELL_TAGS, values, strict=True):
        found = block.first_value(name)
        if found and not math.isfinite(value):
            raise InputError(f"its {name} is {found!r}; expected a number, or ? if not known")
    return PartialCif(
        np.array(values[:3]),
        np.array(values[3:]),
        np.array([row.number for row in table.rows], dtype=np.int64),
        np.array([row.position for row in table.rows], dtype=np.float64),
        tuple(row.label for row in table.rows),
    )


def _cell_parameters(block: CifBlock) -> list[float]:
    """Return three lengths and three angles; nan where the file has no number."""
    if missing := [name for name in CELL_TAGS if name not in block.items]:
        raise InputError(f"it lacks {', '.join(missing)}; expected three lengths and three angles")
    values = [block.first_value(name) for name in CELL_TAGS]
    return [math.nan if value in UNKNOWN_VALUES else cif_number(value) for value in values]


def _volume_note(block: CifBlock, crystal: Crystal) -> list[str]:
    volume = cif_number(block.first_value("_cell_volume"))
    if (
        not math.isfinite(volume)
        or abs(volume - crystal.volume) <= VOLUME_TOLERANCE * crystal.volume
    ):
        return []
    return [
        f"its _cell_volume is {volume:g} Å^3, and its lengths and angles make "
        f"{crystal.volume:.2f}; it is read by these"
    ]
