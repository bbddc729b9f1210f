"""Write a crystal as text, translate it, and read it back.

python examples/01_codec.py
"""

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

import crystext

salt = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
crystal = crystext.Crystal.from_structure(salt.get_primitive_structure())

text = crystext.encode(crystal)
print(text)

# A translation changes every coordinate and nothing else: the crystal is the same.
moved = crystext.translate(crystal, np.random.default_rng(0))
print("\n" + crystext.encode(moved))

decoded = crystext.decode(text)
print("\nread back:", decoded.structure.composition.reduced_formula)

broken = crystext.decode(text.replace("Cl", "Xx"))
print("a broken text:", broken.failure.name, "at line", broken.line, "-", broken.failure.value)
