"""CIFs with symmetry, from gemmi's table of space groups alone: what a reader is measured by.

Knows settings (axes, origins, cells) and how a file may name them. It shares no code with the
reader or the writer of crystext: spglib standardises a crystal, gemmi's table gives the change of
basis and the operations, and the text is put together here.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import gemmi
import numpy as np
import spglib

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors, lengths_and_angles

SYMPREC = 0.01
"""Å: what spglib takes for symmetric. pymatgen's and the usual value for writing CIFs."""

WITHOUT_OPERATIONS = (
    "H-M symbol with qualifier",
    "H-M symbol",
    "short H-M symbol",
    "Hall symbol",
    "number and coordinate-system code",
    "number",
)
"""How a file without a list of operations may name its setting."""

WITH_OPERATIONS = "operations"


class Cell(NamedTuple):
    """All atoms of one cell of a crystal, in one setting of its space group."""

    group: gemmi.SpaceGroup
    vectors: Floats
    """Rows, Å; shape (3, 3)."""
    numbers: Ints
    """Atomic numbers; shape (N,)."""
    positions: Floats
    """Fractional coordinates; shape (N, 3)."""


class Site(NamedTuple):
    """One atom of each orbit."""

    number: int
    position: Floats
    multiplicity: int


class Layout(NamedTuple):
    """How a file is written, apart from the setting."""

    decimals: int
    """Of coordinates, lengths and angles."""
    form: str
    """`WITH_OPERATIONS`, or one of `WITHOUT_OPERATIONS`."""
    truncated: bool = False
    """Whether digits are cut off (0.6666) instead of rounded (0.6667)."""
    names: tuple[str, ...] = ()
    """With operations, forms of `WITHOUT_OPERATIONS` that stand beside them."""
    formula: bool = False
    """Whether the formula and Z stand in the file."""
    types: bool = True
    """Whether sites have a type symbol; without one, the label is the element and a number."""
    multiplicities: bool = False
    modern: bool = True
    """Whether data names are `_space_group_...`, not `_symmetry_...`."""


def settings(number: int) -> list[gemmi.SpaceGroup]:
    """Return every setting of a space group type that gemmi knows; spglib's 530 are among them."""
    return [group for group in gemmi.spacegroup_table() if group.number == number]


def standardize(crystal: Crystal) -> Cell | None:
    """Return the conventional cell of a crystal in gemmi's reference setting, symmetrised.

    None where spglib finds no symmetry at `SYMPREC`.
    """
    cell = (basis_vectors(crystal.lengths, crystal.angles), crystal.positions, crystal.numbers)
    first = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)
    if first is None:
        return None
    group = gemmi.get_spacegroup_reference_setting(first.number)
    found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC, hall_number=_hall(group.hall))
    if found is None:
        return None
    return Cell(group, found.std_lattice, found.std_types.astype(int), found.std_positions % 1.0)


def in_setting(cell: Cell, group: gemmi.SpaceGroup) -> Cell:
    """Return a cell of the reference setting in another setting of the same type."""
    change = group.basisop
    matrix = np.array(change.rot) / change.DEN
    shift = np.array(change.tran) / change.DEN
    back = np.linalg.inv(matrix)
    # Where the matrix is integral, one cell of the reference setting covers the new one.
    reach = range(1) if (matrix == np.round(matrix)).all() else range(-2, 3)
    steps = np.array(list(product(reach, repeat=3)))
    around = cell.positions[:, None, :] + steps
    images = ((around @ matrix.T + shift) % 1.0).reshape(-1, 3)
    numbers = np.repeat(cell.numbers, len(steps))
    kept = _distinct(images, numbers)
    expected = len(cell.numbers) / np.linalg.det(matrix)
    if abs(len(kept) - expected) > 1e-6:
        raise ValueError(f"{group.xhm()} has {len(kept)} atoms, not {expected:g}")
    return Cell(group, back.T @ cell.vectors, numbers[kept], images[kept])


def asymmetric_sites(cell: Cell, rng: np.random.Generator) -> list[Site]:
    """Return one atom of each orbit, whichever, in any order.

    Raises:
        ValueError: the operations of the setting do not map the atoms onto themselves.
    """
    rotations, translations = _operations(cell.group.xhm())
    left = set(range(len(cell.numbers)))
    sites = []
    while left:
        i = int(rng.choice(sorted(left)))
        images = rotations @ cell.positions[i] + translations
        same = np.flatnonzero(cell.numbers == cell.numbers[i])
        steps = images[:, None, :] - cell.positions[same]
        lengths = np.linalg.norm((steps - np.round(steps)) @ cell.vectors, axis=-1)
        if lengths.min(axis=1).max() > 0.02:
            raise ValueError(f"an operation of {cell.group.xhm()} maps an atom onto none")
        orbit = set(same[lengths.argmin(axis=1)].tolist())
        sites.append(Site(int(cell.numbers[i]), cell.positions[i], len(orbit)))
        left -= orbit
    return sites


def write_cif(cell: Cell, sites: list[Site], layout: Layout) -> str:
    """Return the text of a CIF of a cell, from the sites of its asymmetric unit."""

    def digits(x: float) -> str:
        if layout.truncated:
            x = np.floor(x * 10**layout.decimals + 1e-6) / 10**layout.decimals
        return f"{x:.{layout.decimals}f}"

    lengths, angles = lengths_and_angles(cell.vectors)
    keys = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_crystal"]
    lines += [
        f"_cell_{key} {x:.{layout.decimals}f}"
        for key, x in zip(keys, [*lengths, *angles], strict=True)
    ]
    if layout.formula:
        lines += _formula(cell.numbers)
    for form in (layout.form, *layout.names):
        if form != WITH_OPERATIONS:
            lines += name_lines(cell.group, form, layout.modern)
    if layout.form == WITH_OPERATIONS:
        key = "_space_group_symop_operation_xyz" if layout.modern else "_symmetry_equiv_pos_as_xyz"
        lines += ["loop_", key]
        lines += [f"'{operation.triplet()}'" for operation in cell.group.operations()]
    columns = ["label", *["type_symbol"] * layout.types, "fract_x", "fract_y", "fract_z"]
    columns += ["symmetry_multiplicity"] * layout.multiplicities
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns)]
    for i, site in enumerate(sites, start=1):
        symbol = SYMBOLS[site.number - 1]
        row = [f"{symbol}{i}", *[symbol] * layout.types, *map(digits, site.position.tolist())]
        lines.append(" ".join([*row, *[str(site.multiplicity)] * layout.multiplicities]))
    return "\n".join(lines) + "\n"


def name_lines(group: gemmi.SpaceGroup, form: str, modern: bool) -> list[str]:
    """Return the lines that name a setting; none where the form cannot name it."""
    prefix = "_space_group" if modern else "_symmetry"
    hm = "name_H-M_alt" if modern else "space_group_name_H-M"
    number = "IT_number" if modern else "Int_Tables_number"
    if form == "H-M symbol with qualifier":
        return [f"{prefix}_{hm} '{group.xhm()}'"]
    if form == "H-M symbol":
        return [f"{prefix}_{hm} '{group.hm}'"]
    if form == "short H-M symbol":
        words = group.hm.split()
        if group.crystal_system_str() == "monoclinic":
            words = [word for word in words if word != "1"]
        return [f"{prefix}_{hm} '{''.join(words)}'"]
    if form == "Hall symbol":
        return [f"{prefix}_{'name_Hall' if modern else 'space_group_name_Hall'} '{group.hall}'"]
    lines = [f"{prefix}_{number} {group.number}"]
    if form == "number":
        return lines
    code = coordinate_system_code(group)
    return [*lines, f"_space_group_IT_coordinate_system_code {code}"] if code else []


def coordinate_system_code(group: gemmi.SpaceGroup) -> str:
    """Return the code that the CIF dictionary has for a setting; empty where it has none.

    Source: International Union of Crystallography, core CIF dictionary,
    `_space_group.IT_coordinate_system_code`, after International Tables, volume A.
    """
    try:
        choice = spglib.get_spacegroup_type(_hall(group.hall)).choice
    except KeyError:
        return ""
    system = group.crystal_system_str()
    if system == "monoclinic" and not choice[-1:].isdigit():
        return f"{choice}1"
    if system == "orthorhombic" and choice in ("", "1", "2"):
        return f"{choice}abc"
    return choice.lower() if system == "trigonal" else choice


def _formula(numbers: Ints) -> list[str]:
    counts = {SYMBOLS[z - 1]: int((numbers == z).sum()) for z in sorted(set(numbers.tolist()))}
    units = int(np.gcd.reduce(list(counts.values())))
    words = [f"{symbol}{n // units if n > units else ''}" for symbol, n in counts.items()]
    return [f"_chemical_formula_sum '{' '.join(sorted(words))}'", f"_cell_formula_units_Z {units}"]


def _distinct(positions: Floats, numbers: Ints) -> list[int]:
    """Return the indices of atoms that no atom before them lies on, cells wrapped."""
    kept: list[int] = []
    grid: dict[tuple[int, ...], int] = {}
    for i, cell in enumerate(np.round(positions * 1000).astype(int).tolist()):
        near = product(*[[(x + d) % 1000 for d in (-1, 0, 1)] for x in cell])
        if any((*place, int(numbers[i])) in grid for place in near):
            continue
        grid[(*(x % 1000 for x in cell), int(numbers[i]))] = i
        kept.append(i)
    return kept


@cache
def _operations(name: str) -> tuple[Floats, Floats]:
    group = gemmi.SpaceGroup(name)
    operations = [(o.rot, o.tran) for o in group.operations()]
    rotations = np.array([rot for rot, _ in operations]) / gemmi.Op.DEN
    return rotations, np.array([tran for _, tran in operations]) / gemmi.Op.DEN


@cache
def _hall_numbers() -> dict[str, int]:
    return {spglib.get_spacegroup_type(i).hall_symbol: i for i in range(1, 531)}


def _hall(symbol: str) -> int:
    return _hall_numbers()[symbol]
