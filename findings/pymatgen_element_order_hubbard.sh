#!/usr/bin/env bash
# Which U the Materials Project's 2020 corrections ask for depends on the order of a crystal's atoms.
#
# A cell with one atom each of iron, oxygen and helium, whose sites are listed in all six orders. With
# U = 5.3 eV on iron, the value for its oxides, and without.
# Expected: one answer for all orders, since the crystal is the same.
# Seen, with pymatgen 2026.10.24: three orders take the entry with U and refuse that without
# (CompatibilityError: invalid U value), three the other way round, and the corrections of the two
# are 2.256 eV apart. The scheme sorts elements by electronegativity and takes the last one for the
# anion; that of helium is NaN (so are those of neon and argon), and a list with NaN is not sorted.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from itertools import permutations

from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

scheme = MaterialsProject2020Compatibility(check_potcar=False)
seen = {}
for order in permutations([("Fe", [0, 0, 0]), ("O", [0.34, 0, 0]), ("He", [0.5, 0.5, 0.5])]):
    symbols, positions = zip(*order)
    structure = Structure(Lattice.cubic(6), symbols, positions)
    found = []
    for hubbards in ({"Fe": 5.3}, {}):
        parameters = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards}
        entry = ComputedStructureEntry(structure, 0.0, parameters=parameters)
        try:
            found.append(round(sum(x.value for x in scheme.get_adjustments(entry)), 3))
        except Exception as error:
            found.append(type(error).__name__)
    seen[symbols] = found
    print(" ".join(symbols), "with U, without:", found)
refused = "CompatibilityError"
expected = {
    ("Fe", "O", "He"): [refused, -0.687],
    ("Fe", "He", "O"): [-2.943, refused],
    ("O", "Fe", "He"): [refused, -0.687],
    ("O", "He", "Fe"): [refused, -0.687],
    ("He", "Fe", "O"): [-2.943, refused],
    ("He", "O", "Fe"): [-2.943, refused],
}
raise SystemExit(seen != expected)
PYTHON
