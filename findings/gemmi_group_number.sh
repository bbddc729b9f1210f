#!/usr/bin/env bash
# gemmi takes a CIF that gives its space group by number for one without symmetry.
#
# The file is rock salt with _space_group_IT_number 225, a group that has one setting, and no symbol.
# Expected: Na4 Cl4, as pymatgen and ASE read it.
# Seen, with gemmi 0.7.5: no space group, and Na1 Cl1 in the unit cell. The number is looked at only
# where determine_and_set_spacegroup is given an order with N in it.
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


NUMBER = "_space_group_IT_number 225"
read = formulas(5.64, 90, NUMBER, "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5")
print(read)
raise SystemExit(read != {"pymatgen": "Na4 Cl4", "ASE": "Cl4Na4", "gemmi": "Cl1 Na1"})
PYTHON
