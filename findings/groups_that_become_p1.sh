#!/usr/bin/env bash
# pymatgen reads a CIF as P1 where its group stands as a Hall symbol or with its origin.
#
# The files are rock salt and diamond, without a list of operations, which CIF does not ask for. The
# group is named by its Hall symbol alone, or by a Hermann-Mauguin symbol with the origin (F d -3 m:2).
# Expected: Na4 Cl4 and C8, or a refusal.
# Seen: Na1 Cl1 and C1 with pymatgen 2026.10.24; with ASE 3.29.0, NaCl for the Hall symbol and a
# refusal for the origin; the whole cells with gemmi 0.7.5.
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


HALL = "_space_group_name_Hall '-F 4 2 3'"
ORIGIN = "_space_group_name_H-M_alt 'F d -3 m:2'"
salt = formulas(5.64, 90, HALL, "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5")
diamond = formulas(3.567, 90, ORIGIN, "C1 C 0.125 0.125 0.125")
print(salt, diamond)
expected = (
    {"pymatgen": "Na1 Cl1", "ASE": "ClNa", "gemmi": "Cl4 Na4"},
    {"pymatgen": "C1", "ASE": "refused", "gemmi": "C8"},
)
raise SystemExit((salt, diamond) != expected)
PYTHON
