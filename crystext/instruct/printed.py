"""Show crystals in questions, as CIF or as text, together with the crystal that the text holds.

A right answer is computed from the printed crystal, never from the one behind it: rounding changes
volumes, and a coordinate of 0.9996 is 0.000 to three decimals. Coordinates are wrapped into [0, 1)
after rounding. In a CIF that lists every atom in P 1, the lines on symmetry say nothing about the
crystal, and a question on its symmetry leaves them out.

What goes wrong otherwise: of the cells of MP-20 validation, three decimals print a coordinate of
5.8% as -0.000 or 1.000, and angles that are cut instead of rounded differ in 41.8%
(`cif_tasks.json` in `evaluation/results`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from crystext.errors import SettingError
from crystext.io.write import cif
from crystext.io.write.decimals import CIF_DECIMALS
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.text import PLAIN, Format, get_format

CIF: Final = "cif"
"""The format of questions about files; every other name is a text format."""

SITE_DECIMALS = 3
"""Decimals of the coordinates by which questions name sites."""

SYMMETRY_TAGS = (
    "_space_group_name_H-M_alt",
    "_space_group_name_Hall",
    "_space_group_IT_number",
    "_space_group_symop_id",
)
"""Tags of the lines, and the loop, that state a symmetry."""

FORMULA_TAGS = (
    "_chemical_formula_structural",
    "_chemical_formula_sum",
    "_cell_formula_units_Z",
)

CELL_TAGS = (
    *(f"_cell_length_{x}" for x in "abc"),
    *(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")),
    "_cell_volume",
)

VOLUME_TAG = "_cell_volume"


class Printed(NamedTuple):
    """A crystal as a question shows it."""

    text: str
    crystal: Crystal
    """What the text holds: every number has the digits of the text."""
    format: str


@dataclass(frozen=True)
class Writer:
    """How questions show crystals."""

    format: str | None = None
    """`cif`, or a text format that lists sites, for all tasks; None shows CIFs in the tasks on
    files and the plain format in the others."""
    decimals: int = CIF_DECIMALS
    """Of numbers in CIFs; zeros at the end are not written."""

    def __post_init__(self) -> None:
        """Refuse formats without sites, and decimals that no CIF has."""
        if not 1 <= self.decimals <= CIF_DECIMALS:
            raise SettingError(
                f"CIFs with {self.decimals} decimals are not written; expected 1 to {CIF_DECIMALS}"
            )
        if self.format not in (None, CIF) and not get_format(self.format or "").lists_sites:
            raise SettingError(
                f"the format {self.format} does not list every site, and questions ask about sites;"
                f" expected {CIF}, or a format such as {PLAIN.name}"
            )

    def format_of_files(self) -> str:
        """Return the format of the tasks on files."""
        return self.format or CIF

    def format_of_texts(self) -> str:
        """Return the format of the tasks on texts."""
        return self.format or PLAIN.name

    def print_file(self, crystal: Crystal, leave_out: Collection[str] = ()) -> Printed:
        """Show a crystal in the format of the tasks on files; see `print_as`."""
        return self.print_as(crystal, self.format_of_files(), leave_out)

    def print_text(self, crystal: Crystal, leave_out: Collection[str] = ()) -> Printed:
        """Show a crystal in the format of the tasks on texts; see `print_as`."""
        return self.print_as(crystal, self.format_of_texts(), leave_out)

    def print_as(self, crystal: Crystal, format: str, leave_out: Collection[str] = ()) -> Printed:
        """Show a crystal, its atoms in the order in which they are given.

        Args:
            crystal: its cell is kept.
            format: `cif` or a text format.
            leave_out: tags of a CIF whose lines or loops are left out.

        Raises:
            InputError: the format cannot hold the crystal.
        """
        crystal.check()
        if format == CIF:
            rounded = round_crystal(crystal, self.decimals)
            return Printed(without_tags(cif(rounded), leave_out).rstrip("\n"), rounded, CIF)
        fmt = get_format(format)
        text = fmt.encode_in_given_order(crystal)
        return Printed(text, _decoded(text, fmt), format)


def _decoded(text: str, fmt: Format) -> Crystal:
    crystal = fmt.decode(text).crystal
    assert crystal is not None, "a format reads what it writes"
    return crystal


def round_crystal(crystal: Crystal, decimals: int) -> Crystal:
    """Return a crystal with all numbers rounded, and coordinates in [0, 1).

    Angles that would no longer form a cell keep all their digits.
    """
    angles = _rounded(crystal.angles.tolist(), decimals)
    if not angles_form_cell(*angles):
        angles = crystal.angles.tolist()
    positions = [
        [wrap_rounded(x, decimals) for x in position] for position in crystal.positions.tolist()
    ]
    return Crystal(
        np.array(_rounded(crystal.lengths.tolist(), decimals)),
        np.array(angles),
        crystal.numbers,
        np.array(positions),
    )


def wrap_rounded(coordinate: float, decimals: int) -> float:
    """Return a fractional coordinate rounded, in [0, 1)."""
    rounded = float(f"{coordinate % 1.0:.{decimals}f}")
    return 0.0 if rounded >= 1.0 else rounded


def _rounded(values: Sequence[float], decimals: int) -> list[float]:
    return [float(f"{value:.{decimals}f}") for value in values]


def site_text(position: Sequence[float]) -> str:
    """Return the coordinates of a site as questions name it: 0.000, 0.500, 0.250."""
    return ", ".join(f"{wrap_rounded(x, SITE_DECIMALS):.{SITE_DECIMALS}f}" for x in position)


def sites_with_names(crystal: Crystal) -> dict[int, str]:
    """Return the sites whose coordinates no other site shares as questions name them."""
    names = [site_text(position) for position in crystal.positions.tolist()]
    return {i: name for i, name in enumerate(names) if names.count(name) == 1}


def without_tags(text: str, tags: Collection[str]) -> str:
    """Return a CIF of this package's writer without the lines and the loops of some tags."""
    if not tags:
        return text
    pattern = "|".join(map(re.escape, tags))
    text = re.sub(
        rf"^loop_\n(?: _\S+\n)*? (?:{pattern})\n(?: _\S+\n)*(?:  .*\n)*",
        "",
        text,
        flags=re.MULTILINE,
    )
    return re.sub(rf"^(?:{pattern})[ \t].*\n", "", text, flags=re.MULTILINE)


def mask_sites(text: str, sites: Collection[int], mask: str) -> str:
    """Return a CIF of this package's writer with the element and label of some sites masked."""
    lines = text.rstrip("\n").split("\n")
    start = next(i for i, line in enumerate(lines) if line == " _atom_site_occupancy") + 1
    for site in sites:
        _, label, *others = lines[start + site].split()
        number = re.sub(r"^[A-Za-z]+", "", label)
        lines[start + site] = "  " + "  ".join((mask, f"X{number}", *others))
    return "\n".join(lines)
