#!/usr/bin/env bash
# POTCAR.spec does not say of which functional its POTCARs are, and pmg potcar takes PBE.
#
# MPScanRelaxSet is an input set for r2SCAN. It needs POTCARs of PBE_54, which hold the kinetic energy
# density of the core; those of PBE, which MPRelaxSet uses, do not. For quartz both sets name the same
# symbols.
# Expected: the two files POTCAR.spec differ, or `pmg potcar --functional PBE_54 --recursive .` looks
# for POTCARs of PBE_54.
# Seen, with pymatgen 2026.10.24: the files are the same, byte by byte, and with --recursive the option
# --functional is ignored: it looks for POTCARs of PBE. With both sets of POTCARs in PMG_VASP_PSP_DIR
# it would write those of PBE for an r2SCAN calculation. The environment variable
# PMG_DEFAULT_FUNCTIONAL=PBE_54 has an effect.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymatgen==2026.10.24
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.sets import MPRelaxSet, MPScanRelaxSet

places = [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2142]]
quartz = Structure.from_spacegroup("P3_121", Lattice.hexagonal(4.913, 5.405), ["Si", "O"], places)
for kind in (MPRelaxSet, MPScanRelaxSet):
    chosen = kind(quartz)
    chosen.write_input(f"{kind.__name__}/quartz", potcar_spec=True)
    named = open(f"{kind.__name__}/quartz/POTCAR.spec").read().split()
    print(f"{kind.__name__}: POTCARs of {chosen.potcar_functional}; POTCAR.spec: {named}")
PYTHON
mkdir potcars
export PMG_VASP_PSP_DIR="$folder/potcars"
asked() {
  # It fails, since there are no POTCARs, and says which it looked for.
  { venv/bin/pmg potcar "$@" 2>&1 || true; } | grep -o "functional='[A-Z0-9_]*'" | sort -u
}
with_option=$(asked --functional PBE_54 --recursive MPScanRelaxSet)
with_variable=$(PMG_DEFAULT_FUNCTIONAL=PBE_54 asked --recursive MPScanRelaxSet)
echo "pmg potcar --functional PBE_54 --recursive looks for $with_option"
echo "PMG_DEFAULT_FUNCTIONAL=PBE_54 pmg potcar --recursive looks for $with_variable"
cmp MPRelaxSet/quartz/POTCAR.spec MPScanRelaxSet/quartz/POTCAR.spec
[ "$with_option" = "functional='PBE'" ] && [ "$with_variable" = "functional='PBE_54'" ]
