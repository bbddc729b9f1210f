#!/usr/bin/env bash
# pymatgen counts deuterium by its mass in memory, and loses it in every file.
#
# Heavy ice in a made-up cell: two D and one O.
# Expected: the same density before and after as_dict, CIF and POSCAR, or that D is refused.
# Seen, with pymatgen 2026.10.24: the structure has D's mass and prints as H2 O1; its dictionary, CIF
# and POSCAR hold H, and the density falls by a tenth. D1 H1 O1 and H2 O1 print alike and differ.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from pymatgen.core import Composition, Lattice, Structure

places = [[0.0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2]]
heavy = Structure(Lattice.cubic(4), ["D", "D", "O"], places)
density = {"before": heavy.density, "as_dict": Structure.from_dict(heavy.as_dict()).density}
for format in ("cif", "poscar"):
    density[format] = Structure.from_str(heavy.to(fmt=format), fmt=format).density
density = {name: round(float(value), 3) for name, value in density.items()}
mixed, light = Composition({"D": 1, "H": 1, "O": 1}), Composition("H2O")
print(heavy.formula, density, mixed.formula, light.formula, mixed == light)
lost = all(density[x] < 0.91 * density["before"] for x in ("as_dict", "cif", "poscar"))
raise SystemExit(not lost or heavy.formula != "H2 O1" or mixed.formula != light.formula)
PYTHON
