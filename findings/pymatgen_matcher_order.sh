#!/usr/bin/env bash
# What pymatgen's StructureMatcher answers depends on the order of its arguments.
#
# Rock salt, once with bare elements and once with oxidation states.
# Expected: one answer for both orders.
# Seen, with pymatgen 2026.10.24: True with the bare one first, False with the other first; likewise
# a distance of 0 and none from get_rms_dist.
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

bare = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
charged = bare.copy()
charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
matcher = StructureMatcher()
fits = (matcher.fit(bare, charged), matcher.fit(charged, bare))
distances = (matcher.get_rms_dist(bare, charged), matcher.get_rms_dist(charged, bare))
print("fit:", fits, "get_rms_dist:", distances)
raise SystemExit(fits != (True, False) or distances[0] is None or distances[1] is not None)
PYTHON
