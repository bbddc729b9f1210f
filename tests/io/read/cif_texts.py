"""CIFs for the tests of reading, put together from their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from crystext.chemistry.formulas import format_formula
from crystext.errors import InputError
from crystext.io.read.cif import read_cif

CELLS = {
    "cubic": (5.64, 5.64, 5.64, 90, 90, 90),
    "diamond": (3.567, 3.567, 3.567, 90, 90, 90),
    "tetragonal": (3.77, 3.77, 5.52, 90, 90, 90),
    "orthorhombic": (5.2, 6.3, 7.1, 90, 90, 90),
    "monoclinic": (5.2, 6.3, 7.1, 90, 98, 90),
    "unique c": (5.2, 6.3, 7.1, 90, 90, 98),
    "hexagonal": (3.209, 3.209, 5.211, 90, 90, 120),
    "rhombohedral": (5.1284, 5.1284, 5.1284, 55.28, 55.28, 55.28),
    "calcite": (4.99, 4.99, 17.06, 90, 90, 120),
    "triclinic": (5.2, 6.3, 7.1, 80, 98, 101),
}
CELL_NAMES = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")

COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")

NACL = ("Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5")
"""Rock salt, where the group is F m -3 m."""
CSCL = ("Cs1 Cs 0 0 0", "Cl1 Cl 0.5 0.5 0.5")
GENERAL = ("Na1 Na 0.113 0.337 0.219", "Cl1 Cl 0.641 0.083 0.792")
"""General positions; cells of groups with many operations have to be scaled for them."""

HM = "_symmetry_space_group_name_H-M"
SUM = "_chemical_formula_sum"
Z = "_cell_formula_units_Z"
P1 = {HM: "P 1"}


def cif_text(
    rows: Sequence[str],
    cell: str = "cubic",
    names: Mapping[str, object] | None = None,
    *,
    columns: Sequence[str] = COLUMNS,
    operations: Sequence[str] = (),
    scale: float = 1.0,
) -> str:
    """Return a CIF of rows of sites, with further names and their values."""
    lengths = [scale * length for length in CELLS[cell][:3]]
    cell_values = [*lengths, *CELLS[cell][3:]]
    lines = ["data_t"]
    lines += [f"_cell_{n} {v:g}" for n, v in zip(CELL_NAMES, cell_values, strict=True)]
    lines += [f'{name} "{value}"' for name, value in (names or {}).items()]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{o}'" for o in operations)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns), *rows, ""]
    return "\n".join(lines)


def atoms(text: str, *, lenient: bool = False) -> str:
    """Return what a text is read as, such as `Na4Cl4`; elements in the order of the file."""
    return format_formula(Counter(read_cif(text, lenient=lenient).crystal.symbols))


def notes(text: str, *, lenient: bool = False) -> str:
    """Return the notes of a reading, one after another."""
    return "; ".join(read_cif(text, lenient=lenient).notes)


def refusal(text: str, *, lenient: bool = False) -> str:
    """Return why a text is refused; empty if it is read."""
    try:
        read_cif(text, lenient=lenient)
    except InputError as error:
        return str(error)
    return ""
