#!/usr/bin/env bash
# ASE passes over the units of length in input files of ABINIT and in AtomEye's CFG.
#
# The files are caesium chloride in a cube of 4.12 Å (7.7857 Bohr). One has angstrom behind ABINIT's
# xcart, which are in Bohr otherwise; the other A = 4.12 Angstrom, the unit of the vectors in CFG.
# Expected: Cl in the middle of a cube of 4.12 Å, as from the files that say the same otherwise.
# Seen, with ASE 3.29.0 and no warning: Cl at 0.265 instead of 0.5 with ABINIT's, as 2.06 Bohr; a cube
# of 1 Å with CFG's.
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

ABINIT = """acell 7.7857 7.7857 7.7857
rprim 1 0 0  0 1 0  0 0 1
ntypat 2
znucl 55 17
natom 2
typat 1 2
xcart 0 0 0
{place} {place} {place} {unit}
"""
CFG = """Number of particles = 2
A = {unit} Angstrom (basic length-scale)
H0(1,1) = {length} A
H0(1,2) = 0 A
H0(1,3) = 0 A
H0(2,1) = 0 A
H0(2,2) = {length} A
H0(2,3) = 0 A
H0(3,1) = 0 A
H0(3,2) = 0 A
H0(3,3) = {length} A
.NO_VELOCITY.
entry_count = 3
132.905
Cs
0 0 0
35.45
Cl
0.5 0.5 0.5
"""


warnings.simplefilter("error")


def length_and_place(format, text):
    atoms = ase.io.read(io.StringIO(text), format=format)
    found = atoms.cell.lengths()[0], atoms.get_scaled_positions()[1][0]
    return [round(float(x), 3) for x in found]


found = {
    "ABINIT, Bohr": length_and_place("abinit-in", ABINIT.format(place=3.89285, unit="")),
    "ABINIT, angstrom": length_and_place("abinit-in", ABINIT.format(place=2.06, unit="angstrom")),
    "CFG, A = 1.0": length_and_place("cfg", CFG.format(unit="1.0", length=4.12)),
    "CFG, A = 4.12": length_and_place("cfg", CFG.format(unit="4.12", length=1)),
}
print(found)
right = [4.12, 0.5]
expected = [right, [4.12, 0.265], right, [1.0, 0.5]]
raise SystemExit(list(found.values()) != expected)
PYTHON
