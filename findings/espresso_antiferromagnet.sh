#!/usr/bin/env bash
# An antiferromagnet in an input of Quantum ESPRESSO is a ferromagnet for ASE.
#
# Iron oxide with moments of +5 and -5 on its two Fe. pw.x has a moment for each species, so that ASE
# writes the species Fe with starting_magnetization 5.0 and Fe1 with -5.0, as it should.
# Expected: reading the file gives +5 and -5 back, or no moments at all.
# Seen, with ASE 3.29.0: -5 and -5. The reader keeps one moment for an element, that of its last
# species, and gives it to every atom of the element. A calculation that is set up from such a file,
# by a change of its k-points for example, starts from another magnetic order, without a word.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ase==3.29.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import ase.io
from ase import Atoms

places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]]
oxide = Atoms("Fe2O2", scaled_positions=places, cell=[3.06, 3.06, 4.33], pbc=True)
oxide.set_initial_magnetic_moments([5, -5, 0, 0])
potentials = {"Fe": "Fe.upf", "O": "O.upf"}
ase.io.write("pw.in", oxide, format="espresso-in", pseudopotentials=potentials, kpts=(6, 6, 4))
text = open("pw.in").read()
written = [line.strip() for line in text.splitlines() if "starting_magnetization" in line]
moments = ase.io.read("pw.in", format="espresso-in").get_initial_magnetic_moments().tolist()
print("written:", *written, sep="\n  ")
print("read:", moments)
as_written = written[0].endswith("(1) = 5.0") and written[1].endswith("(2) = -5.0")
raise SystemExit(not as_written or moments != [-5.0, -5.0, 0.0, 0.0])
PYTHON
