#!/usr/bin/env bash
# ASE reads a PDB file of a crystal as its asymmetric unit in a whole cell.
#
# The file is rock salt: CRYST1 with a cell of 5.64 Å and the group F m -3 m, and one atom of each
# element, from which the others follow by the group: a PDB file lists the asymmetric unit.
# Expected: Na4 Cl4, or a warning that the group is not applied.
# Seen, with ASE 3.29.0 and no warning: NaCl, periodic, with a quarter of the density,
# 0.54 g/cm3. gemmi 0.7.5 knows the group and its 192 operations, which make Na4 Cl4.
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
import warnings

import ase.io
import gemmi

PDB = """CRYST1    5.640    5.640    5.640  90.00  90.00  90.00 F m -3 m     8
HETATM    1 NA    NA A   1       0.000   0.000   0.000  1.00  0.00          NA
HETATM    2 CL    CL A   2       2.820   2.820   2.820  1.00  0.00          CL
END
"""
warnings.simplefilter("error")
atoms = ase.io.read(io.StringIO(PDB), format="proteindatabank")
density = atoms.get_masses().sum() / atoms.get_volume() * 1.66053907
by_ase = (atoms.get_chemical_formula(), atoms.pbc.all().item(), round(float(density), 2))

structure = gemmi.read_pdb_string(PDB)
operations = list(structure.find_spacegroup().operations())
sites = {
    (each.atom.element.name, *(round(x % 1, 3) % 1 for x in operation.apply_to_xyz(place.tolist())))
    for each in structure[0].all()
    for place in [structure.cell.fractionalize(each.atom.pos)]
    for operation in operations
}
names = [name for name, *_ in sites]
by_gemmi = (len(operations), {name: names.count(name) for name in sorted(set(names))})
print("ASE:", by_ase, "gemmi:", by_gemmi)
raise SystemExit(by_ase != ("ClNa", True, 0.54) or by_gemmi != (192, {"Cl": 4, "Na": 4}))
PYTHON
