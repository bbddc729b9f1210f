"""Write crystals as CIF: every atom in P 1, or the conventional cell with its symmetry.

Tags are those of the core dictionary: `_chemical_formula_sum` is the formula unit, of which the
cell holds `_cell_formula_units_Z`. Symbols and operations come from gemmi's tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.io.write.decimals import format_decimal, format_text_decimal
from crystext.io.write.symmetry import CrystalEntry, asymmetric_unit, site_labels
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.structures.properties import reduced_formula
from crystext.structures.wyckoff.orbits import WyckoffCrystal
from crystext.structures.wyckoff.positions import hall_number

_BARE_WORD = re.compile(r"""[A-Za-z0-9][^\s'"]*""")
"""A word that needs no quotes in a CIF."""


def cif(
    crystal: Crystal, name: str = "crystal", labels: Sequence[str] = (), *, exact: bool = False
) -> str:
    """Return a crystal as a CIF data block in P 1: every atom is listed, unchanged.

    Coinciding atoms are written, but pymatgen does not read them back.

    Args:
        crystal: the crystal.
        name: name of the data block.
        labels: labels of the sites; by default element and index: Na1, Cl2.
        exact: whether numbers have all their digits instead of six decimals (see `decimals`).
    """
    written = _format_all_digits if exact else format_text_decimal
    names = labels or [f"{symbol}{i}" for i, symbol in enumerate(crystal.symbols, start=1)]
    rows = [
        (
            symbol,
            _unquoted_label(label),
            "1",
            *map(written, position),
        )
        for symbol, label, position in zip(
            crystal.symbols, names, crystal.positions.tolist(), strict=True
        )
    ]
    return _data_block(name, crystal, crystal.numbers.tolist(), 1, rows, written)


def symmetrized_cif(wyckoff: WyckoffCrystal, name: str = "crystal") -> str:
    """Return a crystal as a CIF data block with the operations of its space group.

    The cell is the conventional one. Each orbit has one atom, with multiplicity and Wyckoff letter.
    The setting is that of `wyckoff.positions`; symbol, Hall symbol and operations declare it.
    """
    unit = asymmetric_unit(wyckoff)
    numbers = [
        orbit.atomic_number for orbit in wyckoff.orbits for _ in range(orbit.position.multiplicity)
    ]
    rows = [
        (symbol, label, str(orbit.position.multiplicity), orbit.position.letter,
         *map(format_decimal, position))
        for symbol, label, orbit, position in zip(
            unit.symbols, site_labels(unit), wyckoff.orbits, unit.positions.tolist(), strict=True
        )
    ]  # fmt: skip
    return _data_block(name, unit, numbers, wyckoff.space_group, rows, format_decimal)


def _unquoted_label(label: str) -> str:
    """Return a label without characters that a CIF would have to quote."""
    return label if _BARE_WORD.fullmatch(label) else safe_name(label)


def entry_cif(entry: CrystalEntry) -> str:
    """Return the CIF of an entry."""
    if entry.wyckoff is not None:
        return symmetrized_cif(entry.wyckoff, entry.name)
    return cif(entry.crystal, entry.name, entry.labels, exact=entry.exact)


def safe_name(name: str) -> str:
    """Return a name fit for a file on any system and for a CIF's data block."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._")[:100] or "crystal"


class _GroupSetting(NamedTuple):
    """The description of a space group in a CIF."""

    symbol: str
    hall: str
    operations: tuple[str, ...]
    code: str
    """Origin choice or axes: 1, H; empty if the group has no such choice."""


@cache
def _group_setting(space_group: int) -> _GroupSetting:
    """Return symbols and operations of a group in the setting of `wyckoff.positions`."""
    import gemmi
    import spglib

    kind = spglib.get_spacegroup_type(hall_number(space_group))
    assert kind is not None
    operations = gemmi.symops_from_hall(kind.hall_symbol)
    found = gemmi.find_spacegroup_by_ops(operations)
    assert found is not None
    code = found.ext.strip("\0")
    symbol = f"{found.hm} :{code}" if code else found.hm
    triplets = tuple(operation.triplet().replace(",", ", ") for operation in operations)
    return _GroupSetting(symbol, found.hall, triplets, code)


def _data_block(
    name: str,
    cell: Crystal,
    numbers: Sequence[int],
    space_group: int,
    rows: Iterable[tuple[str, ...]],
    format_number: Callable[[float], str],
) -> str:
    """Return a data block.

    Args:
        name: name of the block.
        cell: a crystal with the lengths and angles of the cell.
        numbers: atomic numbers of all atoms in the cell.
        space_group: number of the space group.
        rows: rows of the atoms: symbol, label, multiplicity, Wyckoff letter if any, coordinates.
        format_number: formats the cell's lengths and angles.
    """
    setting = _group_setting(space_group)
    rows = list(rows)
    wyckoff = [" _atom_site_Wyckoff_symbol"] if rows and len(rows[0]) > 6 else []
    lengths = map(format_number, cell.lengths.tolist())
    angles = _format_angles(cell, format_number)
    formula, units = _formula_unit(numbers)
    lines = [
        f"data_{safe_name(name)}",
        f"_chemical_formula_structural   {reduced_formula(np.array(numbers))}",
        f"_chemical_formula_sum   '{formula}'",
        *(f"_cell_length_{axis}   {x}" for axis, x in zip("abc", lengths, strict=True)),
        *(
            f"_cell_angle_{axis}   {x}"
            for axis, x in zip(("alpha", "beta", "gamma"), angles, strict=True)
        ),
        f"_cell_volume   {cell.volume:.6f}",
        f"_cell_formula_units_Z   {units}",
        f"_space_group_name_H-M_alt   '{setting.symbol}'",
        f"_space_group_name_Hall   '{setting.hall}'",
        f"_space_group_IT_number   {space_group}",
        "loop_",
        " _space_group_symop_id",
        " _space_group_symop_operation_xyz",
        *(f"  {i}  '{xyz}'" for i, xyz in enumerate(setting.operations, start=1)),
        "loop_",
        " _atom_site_type_symbol",
        " _atom_site_label",
        " _atom_site_symmetry_multiplicity",
        *wyckoff,
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
        *("  " + "  ".join((*row, "1")) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _format_angles(cell: Crystal, format_number: Callable[[float], str]) -> list[str]:
    """Return the angles, with all their digits if six decimals would not form a cell."""
    angles = [format_number(x) for x in cell.angles.tolist()]
    if angles_form_cell(*map(float, angles)) or not angles_form_cell(*cell.angles.tolist()):
        return angles
    return [_format_all_digits(x) for x in cell.angles.tolist()]


def _format_all_digits(value: float) -> str:
    """Return the shortest decimal number that reads back as the same float, without exponent."""
    return np.format_float_positional(value, trim="0")


def _formula_unit(numbers: Sequence[int]) -> tuple[str, int]:
    """Return the formula of a unit in CIF's notation, and the number of units.

    Elements are in Hill's order: carbon, then hydrogen, then the others alphabetically, or all
    alphabetically if there is no carbon.
    """
    found, counts = np.unique(numbers, return_counts=True)
    units = math.gcd(*counts.tolist())
    amounts = {
        SYMBOLS[z - 1]: n // units for z, n in zip(found.tolist(), counts.tolist(), strict=True)
    }
    first = ("C", "H") if "C" in amounts else ()
    order = sorted(amounts, key=lambda symbol: (symbol not in first, symbol))
    return " ".join(f"{s}{amounts[s] if amounts[s] != 1 else ''}" for s in order), units
