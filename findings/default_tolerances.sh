#!/usr/bin/env bash
# The default tolerances of four libraries give one crystal with four decimals two space groups.
#
# The crystal is magnesium, its atoms at 0.3333 0.6667 1/4 and 0.6667 0.3333 3/4, as files often give
# them: about 0.0002 Å off the threefold axis. Its group is P 63/m m c (194).
# Expected: 194 from all.
# Seen, by default: 63 (C m c m) with spglib 2.8.0 and ASE 3.29.0 (1e-5) and with moyopy 0.21.0 (1e-4),
# 194 with pymatgen 2026.10.24 (0.01), which is built on spglib. At 0.01, 194 with all.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24 ase==3.29.0 spglib==2.8.0 moyopy==0.21.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import ase
import moyopy
import spglib
from ase.spacegroup import get_spacegroup
from pymatgen.core import Lattice, Structure

vectors = Lattice.hexagonal(3.209, 5.211).matrix
positions = [[0.3333, 0.6667, 0.25], [0.6667, 0.3333, 0.75]]
numbers = [12, 12]
structure = Structure(vectors, numbers, positions)
atoms = ase.Atoms(numbers, cell=vectors, scaled_positions=positions, pbc=True)
cell = moyopy.Cell(vectors.tolist(), positions, numbers)


def groups(**symprec):
    return {
        "spglib": spglib.get_symmetry_dataset((vectors, positions, numbers), **symprec).number,
        "ASE": get_spacegroup(atoms, **symprec).no,
        "moyopy": moyopy.MoyoDataset(cell, **symprec).number,
        "pymatgen": structure.get_space_group_info(**symprec)[1],
    }


by_default, at_hundredth = groups(), groups(symprec=0.01)
print("defaults:", by_default, "at 0.01:", at_hundredth)
expected = {"spglib": 63, "ASE": 63, "moyopy": 63, "pymatgen": 194}
raise SystemExit(by_default != expected or set(at_hundredth.values()) != {194})
PYTHON
