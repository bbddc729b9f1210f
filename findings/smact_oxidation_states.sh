#!/usr/bin/env bash
# smact_validity passes or fails a compound by a table that its caller need not name.
#
# The share of valid compositions is a common figure for generated crystals, mostly given without the
# table. The default is a third one: ICSD 2024, filtered by how often a state occurs.
# Expected: simple compounds pass, whatever the table; smact.__version__ is the package's version.
# Seen, with smact 4.0.2, which calls itself 4.0.0: MgB2 passes by default and fails by smact14, which
# has no negative boron; O2F2 the other way round; OF2 passes both and fails by icsd24. Pm2O3 fails by
# all: smact has no electronegativity of promethium. Fe3O4 passes only with mixed_valence, as an
# element has one oxidation state otherwise.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check smact==4.0.2
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from importlib.metadata import version

import smact
from smact.screening import smact_validity

TABLES = (None, "smact14", "icsd24")
found = {
    formula: [smact_validity(formula, oxidation_states_set=table) for table in TABLES]
    for formula in ("NaCl", "MgB2", "O2F2", "OF2", "Pm2O3", "Fe3O4")
}
mixed = smact_validity("Fe3O4", mixed_valence=True)
versions = smact.__version__, version("smact")
print("default, smact14, icsd24:", found)
print("Fe3O4 with mixed_valence:", mixed, "versions:", versions)
expected = {
    "NaCl": [True, True, True],
    "MgB2": [True, False, True],
    "O2F2": [False, True, False],
    "OF2": [True, True, False],
    "Pm2O3": [False, False, False],
    "Fe3O4": [False, False, False],
}
raise SystemExit(found != expected or not mixed or versions != ("4.0.0", "4.0.2"))
PYTHON
