#!/usr/bin/env bash
# pymatgen reduces four atoms of gallium to one, and finds a crystal unlike its own conventional cell.
#
# A layered phase of gallium (space group Cmce, 8 atoms in the conventional cell, 4 in the primitive
# one), as Materials Project holds it; its nearest neighbours are 2.84 angstroms apart.
# Expected: 4 atoms from get_primitive_structure, whichever cell it starts from, and a match.
# Seen, with pymatgen 2026.10.24: 4 atoms from the conventional cell and 1 from the primitive one, as
# atoms within 0.25 angstroms of a translation count as repeated by it; so StructureMatcher.fit of the
# two cells of one crystal is False, in both orders.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

cell = Lattice.orthorhombic(4.117, 4.662, 7.921)
conventional = Structure.from_spacegroup("Cmce", cell, ["Ga"], [[0, 0.2187, 0.8731]])
primitive = SpacegroupAnalyzer(conventional).get_primitive_standard_structure()
sizes = [len(x.get_primitive_structure()) for x in (conventional, primitive)]
matcher = StructureMatcher()
fits = [matcher.fit(conventional, primitive), matcher.fit(primitive, conventional)]
print(len(conventional), len(primitive), "reduced to", sizes, "fit:", fits)
raise SystemExit((sizes, fits) != ([4, 1], [False, False]))
PYTHON
