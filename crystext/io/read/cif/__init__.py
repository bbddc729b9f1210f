"""Read a CIF as the crystal that it describes, or refuse it; never return another crystal.

Read: cells with every atom listed, and cells whose atoms follow from symmetry, by listed operations
or by the name of the group in any common spelling. Names and keywords in any case, text fields,
loops of one row, the dotted names of DDLm; magnetic CIFs as the crystal without its spins.

Refused: a file that contradicts itself if its atoms do not decide which part is wrong, an unknown
group, an unspecified origin if it matters, partially occupied or shared sites, attached hydrogen
atoms without positions, modulated structures.

Noted: assumptions, such as P1 for a file without symmetry, deuterium and tritium read as hydrogen
(a crystal here has elements, not isotopes), or a contradiction that the atoms decide. An
unambiguous file has no notes.

    grammar      text to names and values, by gemmi
    sites        rows to whole atoms; `elements` interprets types and labels
    operations   lists and Hall symbols to operations; `symbols` does so for names of groups
    declared     the file's group by names and number
    symmetry     the operations that the file may mean
    cell, build  sites and operations to a crystal, with its contradictions; `formula` counts
    choice       the choice between several readings, by the atoms
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.cif.choice import choose_reading
from crystext.io.read.cif.formula import CifFormula, formula_of
from crystext.io.read.cif.grammar import (
    UNKNOWN_VALUES,
    CifBlock,
    cif_blocks,
    looks_like_cif,
    parse_block,
)
from crystext.io.read.cif.operations import Operations
from crystext.io.read.cif.sites import cif_number, read_site_table
from crystext.io.read.cif.symmetry_candidates import read_symmetry
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
"""Placeholder for an unknown cell, to find out whether there is any symmetry."""

VOLUME_TOLERANCE = 0.02
"""Maximum relative deviation of `_cell_volume` from the volume of the cell without a note."""


class CifReading(NamedTuple):
    """A crystal with notes on assumptions made."""

    crystal: Crystal
    notes: tuple[str, ...]
    labels: tuple[str, ...]
    """The file's labels of its sites if it lists every atom; empty if symmetry generates atoms."""
    operations: Operations
    """The operations with which it is read."""


class PartialCif(NamedTuple):
    """The sites of a CIF with unknown values; nan, or 0 for an element, in place of `?`."""

    lengths: Floats
    angles: Floats
    numbers: Ints
    positions: Floats
    labels: tuple[str, ...]
    symmetry: tuple[Operations, ...]
    """The operations that generate the other atoms: several if the file leaves the setting of its
    space group open, none if every atom is listed."""
    multiplicities: Ints
    """Number of atoms that each site generates according to the file; 0 if it does not say."""
    formula: CifFormula | None
    """None if the file has none that can be counted."""
    notes: tuple[str, ...] = ()
    """Assumptions made."""


def read_cif(text: str, *, lenient: bool = False) -> CifReading:
    """Read the first data block of a CIF that lists atoms.

    Args:
        text: the CIF.
        lenient: if it contradicts itself, take the likeliest reading and note the contradiction.

    Raises:
        InputError: it is not a CIF, not a complete crystal, or contradicts itself; see the package.
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
    return CifReading(crystal, tuple(dict.fromkeys(notes)), labels, choice.candidate.operations)


def read_partial_cif(text: str) -> PartialCif | None:
    """Read a CIF with `?` in place of unknown values; None for a CIF without unknown values.

    Raises:
        InputError: known values are invalid, or the file leaves its symmetry operations open.
    """
    block = parse_block(text)
    values = _cell_parameters(block)
    table = read_site_table(block, partial=True)
    unknown = not all(map(math.isfinite, values)) or any(
        row.number == 0 or not all(map(math.isfinite, row.position)) for row in table.rows
    )
    if not unknown:
        return None
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
        _operations_of_partial(block, values),
        np.array([row.multiplicity for row in table.rows], dtype=np.int64),
        formula_of(block),
        tuple(dict.fromkeys(table.notes)),
    )


def _operations_of_partial(block: CifBlock, values: Sequence[float]) -> tuple[Operations, ...]:
    """Return the operations that a CIF with unknown values may mean; none for P1.

    Raises:
        InputError: the file contradicts itself.
    """
    whole = all(map(math.isfinite, values))
    lengths, angles = (
        np.where(np.isfinite(values[part]).all(), values[part], _PLACEHOLDER_CELL[part])
        for part in (slice(3), slice(3, 6))
    )
    symmetry = read_symmetry(block, lengths, angles)
    candidates = [candidate.operations for candidate in symmetry.candidates]
    if all(operations.is_identity for operations in candidates):
        return ()
    if symmetry.conflict:
        raise InputError(
            f"{symmetry.conflict}; unknown values (?) leave it open which is right. Correct it"
        )
    if problem := candidates[0].group_problem:
        raise InputError(f"its symmetry operations are not a group: {problem}")
    if whole and candidates[0].metric_misfit(lengths, angles) > METRIC_TOLERANCE:
        raise InputError(
            "its symmetry operations do not keep its cell; expected lengths to be equal, or angles "
            "to be 90 or 120 degrees, as the group needs them. Correct the cell, or the group"
        )
    return tuple(candidates)


def _cell_parameters(block: CifBlock) -> list[float]:
    """Return three lengths and three angles; nan in place of missing numbers."""
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
        f"{crystal.volume:.2f}; lengths and angles are used"
    ]
