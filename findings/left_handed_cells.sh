#!/usr/bin/env bash
# A crystal on left-handed lattice vectors becomes its mirror image when pymatgen or ASE writes it.
#
# Quartz of the group P 31 2 1 (152) stands on the vectors b, a, c instead of a, b, c, with its
# coordinates in that order too. It is the same crystal; spglib finds 152 on either.
# Expected: 152 after writing and reading, as the coordinates change their signs with the vectors.
# Seen: 154 (P 32 2 1, the other hand) after a POSCAR, CIF or RES of pymatgen 2026.10.24, and after a
# CIF or niggli_reduce of ASE 3.29.0. The coordinates stay as they are. On right-handed vectors, 152.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24 ase==3.29.0 spglib==2.8.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import ase.io
import spglib
from ase.build import niggli_reduce
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor


def group(structure):
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    return spglib.get_symmetry_dataset(cell, symprec=0.01).number


def groups(structure):
    found = {"as it is": group(structure)}
    for format in ("poscar", "cif", "res"):
        text = structure.to(fmt=format)
        found[f"pymatgen's {format}"] = group(Structure.from_str(text, fmt=format))
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.write("quartz.cif")
    found["ASE's cif"] = group(AseAtomsAdaptor.get_structure(ase.io.read("quartz.cif")))
    niggli_reduce(atoms)
    found["ASE's niggli_reduce"] = group(AseAtomsAdaptor.get_structure(atoms))
    return found


places = [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2142]]
right = Structure.from_spacegroup("P3_121", Lattice.hexagonal(4.913, 5.405), ["Si", "O"], places)
order = [1, 0, 2]
left = Structure(right.lattice.matrix[order], right.species, right.frac_coords[:, order])
of_right, of_left = groups(right), groups(left)
print("right-handed:", of_right)
print("left-handed:", of_left)
raise SystemExit(set(of_right.values()) != {152} or list(of_left.values()) != [152] + [154] * 5)
PYTHON
