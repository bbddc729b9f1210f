#!/usr/bin/env bash
# ASE's optimizers are asked in incompatible ways whether forces are small enough.
#
# A loop that steps an optimizer itself calls `optimizer.converged(...)` between steps. ASE 3.26.0
# requires the gradient as an argument and raises TypeError without it, while `optimizer.optimizable.
# converged(gradient, fmax)` answers in both versions.
# Expected: a method without a deprecation note keeps its signature from one release to another.
# Seen: `FIRE(atoms).converged()` raises TypeError with ASE 3.26.0 and returns a truth value with
# ASE 3.29.0; the optimizable's method returns the same answer with both.
#
# Exits with 0 as long as it behaves so, with 1 once it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/ask.py" <<'PYTHON'
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import FIRE

atoms = bulk("Cu", cubic=True)
atoms.rattle(0.05, seed=1)
atoms.calc = EMT()
optimizer = FIRE(atoms, logfile=None)
optimizer.fmax = 0.05
try:
    plain = str(bool(optimizer.converged()))
except TypeError:
    plain = "TypeError"
inner = optimizer.optimizable
print(plain, bool(inner.converged(inner.get_gradient(), 0.05)))
PYTHON
answers=()
for version in 3.26.0 3.29.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "ase==$version"
  answers+=("$("$folder/$version/bin/python" -W ignore "$folder/ask.py")")
  echo "ASE $version: ${answers[-1]}"
done
[ "${answers[0]}" = "TypeError False" ] && [ "${answers[1]}" = "False False" ]
