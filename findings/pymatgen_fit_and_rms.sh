#!/usr/bin/env bash
# StructureMatcher.fit says that two crystals differ, and get_rms_dist gives their distance.
#
# Cubic SrTiO3, five atoms of three elements, and a copy in which one oxygen is displaced by 1.5
# angstroms along an edge of the cell. All tolerances are those of crystal structure prediction
# (ltol 0.3, stol 0.5, angle_tol 10).
# Expected: two methods of one matcher agree on whether a pair matches, at any displacement.
# Seen, with pymatgen 2026.10.24: fit is False, and get_rms_dist of the same matcher and pair returns
# an RMS distance below stol, with a largest distance above it. fit asks stol of the farthest atom,
# get_rms_dist of the root mean square. So a match rate counted by fit is lower than one that counts
# where get_rms_dist is not None, as CDVAE and DiffCSP do.
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

matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
crystal = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], sites)
seen = []
for displacement in (0.3, 1.5):
    moved = crystal.copy()
    moved.translate_sites([4], [displacement, 0, 0], frac_coords=False)
    fits, distances = matcher.fit(moved, crystal), matcher.get_rms_dist(moved, crystal)
    shown = None if distances is None else [round(float(x), 3) for x in distances]
    seen.append((fits, distances is not None))
    print(f"one atom displaced by {displacement} angstroms: fit {fits}, RMS and largest {shown}")
raise SystemExit(seen != [(True, True), (False, True)])
PYTHON
