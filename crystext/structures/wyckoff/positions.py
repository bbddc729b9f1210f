"""Wyckoff positions of the 230 space groups: sites of atoms, and their multiplicities.

Settings are spglib's defaults: the first Hall number of each group, that is origin choice 1,
hexagonal axes for rhombohedral groups, and unique axis b. Letters are those of the International
Tables for Crystallography A; the letter after z, of group 47, is written A. `derivation` generates
the table (`positions.json`), and a test repeats it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

import numpy as np

from crystext.errors import SettingError
from crystext.structures.crystal import Floats

AXES = "xyz"
N_SPACE_GROUPS = 230
"""Number of space groups."""

_TERM = re.compile(r"(?P<sign>[+-]?)(?P<number>\d+(?:/\d+)?)?\*?(?P<axis>[xyz])?")


@dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """One Wyckoff position: a representative site with its free coordinates.

    A site's fractional coordinates are `matrix @ free_coordinates + offset`.
    """

    space_group: int
    letter: str
    multiplicity: int
    """Atoms in the conventional cell."""
    free_axes: tuple[int, ...]
    """Axes (0, 1, 2) whose coordinates are free; the others follow from them."""
    matrix: Floats
    """Shape (3, number of free coordinates), whole numbers."""
    offset: Floats
    """Shape (3,); zero on free axes."""

    @property
    def name(self) -> str:
        """Multiplicity and letter, such as 4a."""
        return f"{self.multiplicity}{self.letter}"

    def site(self, free: Floats) -> Floats:
        """Return the representative site that has these free coordinates."""
        return np.asarray(self.matrix @ free + self.offset)


@cache
def wyckoff_positions(space_group: int) -> dict[str, WyckoffPosition]:
    """Return the Wyckoff positions of a space group by letter, in the order of the letters.

    Raises:
        SettingError: the number is not in 1..230.
    """
    rows = _table().get(str(space_group))
    if rows is None:
        raise SettingError(f"no space group has the number {space_group}; expected 1 to 230")
    return {
        letter: WyckoffPosition(space_group, letter, multiplicity, *parse_triplet(triplet))
        for letter, multiplicity, triplet in rows
    }


@cache
def symmetry_operations(space_group: int) -> tuple[Floats, Floats]:
    """Return rotations (M, 3, 3) and translations (M, 3) of a group, centring included.

    Source: spglib's database, in the setting of this module.
    """
    import spglib

    found = spglib.get_symmetry_from_database(hall_number(space_group))
    assert found is not None
    return found["rotations"].astype(np.float64), found["translations"] % 1.0


def hall_number(space_group: int) -> int:
    """Return the Hall number of a group's setting: its first one."""
    if (hall := _first_hall_numbers().get(space_group)) is None:
        raise SettingError(f"no space group has the number {space_group}; expected 1 to 230")
    return hall


@cache
def _first_hall_numbers() -> dict[int, int]:
    import spglib

    first: dict[int, int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind is not None:
            first.setdefault(int(kind.number), hall)
    return first


def parse_triplet(triplet: str) -> tuple[tuple[int, ...], Floats, Floats]:
    """Return free axes, matrix and offset of a site written as in the Tables: x,2x,1/4."""
    matrix, offset = np.zeros((3, 3)), np.zeros(3)
    used: set[int] = set()
    for row, text in enumerate(triplet.split(",")):
        for axis, value in _parse_sum(text):
            if axis is None:
                offset[row] += value
            else:
                matrix[row, axis] += value
                used.add(axis)
    free = tuple(sorted(used))
    return free, matrix[:, free], offset


@cache
def _parse_sum(text: str) -> list[tuple[int | None, float]]:
    """Return the terms of one coordinate: the axis, None of a constant, and the factor."""
    terms: list[tuple[int | None, float]] = []
    for term in re.findall(r"[+-]?[^+-]+", text):
        parts = _TERM.fullmatch(term)
        assert parts is not None, text
        value = float(Fraction(parts["number"] or 1)) * (-1 if parts["sign"] == "-" else 1)
        terms.append((AXES.index(parts["axis"]) if parts["axis"] else None, value))
    return terms


@cache
def _table() -> dict[str, list[tuple[str, int, str]]]:
    text = (
        files("crystext.structures.wyckoff").joinpath("positions.json").read_text(encoding="utf-8")
    )
    table: dict[str, list[tuple[str, int, str]]] = json.loads(text)
    return table
