#!/usr/bin/env bash
# ASE takes the numbered atom types of a LAMMPS data file for atomic numbers.
#
# The file is caesium chloride, with types 1 and 2 and no section Masses, which LAMMPS takes from the
# command "mass" of its input instead.
# Expected: a refusal, or a warning that the elements are not known.
# Seen, with ASE 3.29.0 and no warning: one hydrogen and one helium, with their masses. With the
# masses in the file, Cs and Cl.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ase==3.29.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import io
import warnings

import ase.io

DATA = """caesium chloride

2 atoms
2 atom types

0 4.12 xlo xhi
0 4.12 ylo yhi
0 4.12 zlo zhi
{masses}
Atoms # atomic

1 1 0 0 0
2 2 2.06 2.06 2.06
"""
MASSES = "\nMasses\n\n1 132.905\n2 35.45\n"
warnings.simplefilter("error")
found = {}
for name, masses in (("without Masses", ""), ("with Masses", MASSES)):
    atoms = ase.io.read(io.StringIO(DATA.format(masses=masses)), format="lammps-data")
    found[name] = (atoms.get_chemical_symbols(), atoms.get_masses().round(3).tolist())
print(found)
expected = [(["H", "He"], [1.008, 4.003]), (["Cs", "Cl"], [132.905, 35.45])]
raise SystemExit(list(found.values()) != expected)
PYTHON
