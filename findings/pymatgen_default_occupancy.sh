#!/usr/bin/env bash
# pymatgen leaves out an atom whose occupancy is "." in a CIF.
#
# Expected: CsCl. "." stands for the value by default, and the core CIF dictionary's default for
# _atom_site_occupancy is 1.0. ("?" is read as 1.)
# Seen, with pymatgen 2026.10.24: Cs1 alone, without an error.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from pymatgen.core import Structure

CIF = """data_CsCl
_cell_length_a 4.12
_cell_length_b 4.12
_cell_length_c 4.12
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cs1 Cs 0.0 0.0 0.0 1
Cl1 Cl 0.5 0.5 0.5 {}
"""
read = {value: Structure.from_str(CIF.format(value), fmt="cif").formula for value in "1?."}
print(read)
raise SystemExit(read != {"1": "Cs1 Cl1", "?": "Cs1 Cl1", ".": "Cs1"})
PYTHON
