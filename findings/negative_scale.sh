#!/usr/bin/env bash
# A negative scale in VASP's files is the volume of the cell; pymatgen and ASE use it as a factor.
#
# The files are caesium chloride in a cube of 4.12 Å, 69.934528 Å³, on unit vectors: a POSCAR with
# Cartesian positions and an XDATCAR. VASP multiplies vectors and Cartesian positions by one factor,
# the one that gives the volume.
# Expected: a cube of 4.12 Å, with 3.568 Å from Cs to Cl, as with a scale of 4.12.
# Seen: pymatgen 2026.10.24 multiplies the positions of the POSCAR by -69.93, which makes 3.477 Å. ASE
# 3.29.0 reads the POSCAR as VASP does, and the XDATCAR, with the same head, as a cube of 69.93 Å.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24 ase==3.29.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import ase.io
from pymatgen.io.vasp import Poscar, Xdatcar

HEAD = "caesium chloride\n{}\n1 0 0\n0 1 0\n0 0 1\nCs Cl\n1 1\n"
POSITIONS = "\n0 0 0\n0.5 0.5 0.5\n"

found = {}
for scale in ("4.12", "-69.934528"):
    head = HEAD.format(scale)
    with open("POSCAR", "w") as file:
        file.write(head + "Cartesian" + POSITIONS)
    with open("XDATCAR", "w") as file:
        file.write(head + "Direct configuration=     1" + POSITIONS)
    by_pymatgen, by_ase = Poscar.from_file("POSCAR").structure, ase.io.read("POSCAR")
    found[scale] = {
        "pymatgen, Cs-Cl": round(float(by_pymatgen.get_distance(0, 1)), 3),
        "ASE, Cs-Cl": round(float(by_ase.get_distance(0, 1, mic=True)), 3),
        "pymatgen, a of XDATCAR": round(Xdatcar("XDATCAR").structures[0].lattice.a, 3),
        "ASE, a of XDATCAR": round(float(ase.io.read("XDATCAR").cell.lengths()[0]), 3),
    }
    print(scale, found[scale])
as_factor, as_volume = found.values()
raise SystemExit(
    list(as_factor.values()) != [3.568, 3.568, 4.12, 4.12]
    or list(as_volume.values()) != [3.477, 3.568, 4.12, 69.935]
)
PYTHON
