#!/usr/bin/env bash
# ASE reads the type symbol IN of a CIF as iodine, and SB as sulphur.
#
# Programs for refinement write types in capitals, and such files stand in the Crystallography Open
# Database (2100456 is indium with the type IN).
# Expected: In and Sb, as pymatgen and gemmi read them, or a refusal.
# Seen, with ASE 3.29.0: I and S, since the second letter counts only in lower case.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ase==3.29.0 gemmi==0.7.5
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import io

import ase.io
import gemmi

CIF = """data_InSb
_cell_length_a 6.48
_cell_length_b 6.48
_cell_length_c 6.48
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
IN1 IN 0.0 0.0 0.0
SB1 SB 0.5 0.5 0.5
"""
by_ase = ase.io.read(io.StringIO(CIF), format="cif").get_chemical_symbols()
block = gemmi.cif.read_string(CIF).sole_block()
by_gemmi = [x.element.name for x in gemmi.make_small_structure_from_block(block).sites]
print("ASE:", by_ase, "gemmi:", by_gemmi)
raise SystemExit((by_ase, by_gemmi) != (["I", "S"], ["In", "Sb"]))
PYTHON
