#!/usr/bin/env bash
# ASE adds an inversion at the origin to listed operations whose inversion lies elsewhere.
#
# The file is of group P -1, and lists both of its operations: x,y,z and -x+1/2,-y,-z. Files like it
# come from ordering a disordered crystal, which keeps the cell and loses symmetry.
# Expected: two Na (a general position) and one Cl (on the centre at 1/4 0 0).
# Seen, with ASE 3.29.0: Na4 Cl2, since the group that the symbol names is centrosymmetric; Na2 Cl1
# with pymatgen 2026.10.24 and gemmi 0.7.5.
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


GROUP = """_space_group_name_H-M_alt 'P -1'
loop_
_space_group_symop_operation_xyz
x,y,z
-x+1/2,-y,-z"""
read = formulas(6.0, 90, GROUP, "Na1 Na 0.1 0.2 0.3\nCl1 Cl 0.25 0 0")
print(read)
raise SystemExit(read != {"pymatgen": "Na2 Cl1", "ASE": "Cl2Na4", "gemmi": "Cl1 Na2"})
PYTHON
