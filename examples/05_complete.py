"""Complete a CIF with unknown values, and substitute an element of a known crystal.

python examples/05_complete.py [CIF]
"""

import sys
from pathlib import Path

from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from crystext import CrystalLM

UNKNOWN = """data_perovskite
_cell_length_a 3.905
_cell_length_b 3.905
_cell_length_c 3.905
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
A1 ? 0 0 0
Ti1 Ti 0.5 0.5 0.5
O1 O 0.5 0.5 0
O2 O 0.5 0 0.5
O3 O ? ? ?
"""

lm = CrystalLM.load()

# Every ? in the file is filled in; everything else stays exactly as it is.
path = Path(sys.argv[1] if len(sys.argv) > 1 else "perovskite.cif")
if len(sys.argv) == 1:
    path.write_text(UNKNOWN)
completions = lm.infill(path, n=10, seed=0)
print(completions)
for completion in completions[:3]:
    print(f"{completion.log_probability:8.2f} ", "; ".join(map(str, completion.changes)))

# One element at all its sites: every candidate is ranked by its probability, without sampling.
salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
ranked = lm.infill(salt, species={"Na": "similar"}, keep=["space_group"])
print(ranked.to_dataframe()[["rank", "formula", "log_probability", "space_group"]])
print("written to", ranked[:5].save("completions.extxyz"))
