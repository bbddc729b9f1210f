#!/usr/bin/env bash
# pymatgen and ASE ignore the origin that a CIF names by its coordinate-system code.
#
# The file is diamond in the second origin choice of F d -3 m, an atom at 1/8 1/8 1/8, as
# _space_group_IT_coordinate_system_code 2 says.
# Expected: 8 atoms in the cell.
# Seen: 16 atoms with pymatgen 2026.10.24 and with ASE 3.29.0, which use the first origin; 8 with
# gemmi 0.7.5.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24 ase==3.29.0 gemmi==0.7.5
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import io

import ase.io
import gemmi
from pymatgen.core import Structure

HEAD = """data_crystal
_cell_length_a {0}
_cell_length_b {0}
_cell_length_c {0}
_cell_angle_alpha {1}
_cell_angle_beta {1}
_cell_angle_gamma {1}
{2}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{3}
"""


def formulas(length, angle, group, atoms):
    cif = HEAD.format(length, angle, group, atoms)
    block = gemmi.cif.read_string(cif).sole_block()
    sites = gemmi.make_small_structure_from_block(block).get_all_unit_cell_sites()
    names = [site.element.name for site in sites]
    try:
        atoms = ase.io.read(io.StringIO(cif), format="cif")
        by_ase = atoms.get_chemical_formula("hill", empirical=False)
    except ase.spacegroup.spacegroup.SpacegroupError as error:
        by_ase = "refused"
    return {
        "pymatgen": Structure.from_str(cif, fmt="cif").formula,
        "ASE": by_ase,
        "gemmi": " ".join(f"{x}{names.count(x)}" for x in sorted(set(names))),
    }


GROUP = """_space_group_IT_number 227
_space_group_name_H-M_alt 'F d -3 m'
_space_group_IT_coordinate_system_code 2"""
read = formulas(3.567, 90, GROUP, "C1 C 0.125 0.125 0.125")
print(read)
raise SystemExit(read != {"pymatgen": "C16", "ASE": "C16", "gemmi": "C8"})
PYTHON
