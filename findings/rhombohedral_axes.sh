#!/usr/bin/env bash
# pymatgen and ASE apply operations of hexagonal axes to a rhombohedral cell.
#
# The file is corundum on rhombohedral axes (a = b = c, equal angles of 55.28 degrees), which its cell
# and _space_group_IT_coordinate_system_code r both say.
# Expected: Al4 O6.
# Seen: Al36 O36 with pymatgen 2026.10.24 and with ASE 3.29.0; Al4 O6 with gemmi 0.7.5.
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


GROUP = """_space_group_IT_number 167
_space_group_name_H-M_alt 'R -3 c'
_space_group_IT_coordinate_system_code r"""
read = formulas(5.128, 55.28, GROUP, "Al1 Al 0.352 0.352 0.352\nO1 O 0.556 0.944 0.25")
print(read)
raise SystemExit(read != {"pymatgen": "Al36 O36", "ASE": "Al36O36", "gemmi": "Al4 O6"})
PYTHON
