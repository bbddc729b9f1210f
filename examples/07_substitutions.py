"""The published substitution experiment: do suggested elements have a similar size and charge?

python examples/07_substitutions.py [CRYSTALS [N]]

One element of each crystal is masked at all its sites, and the model ranks the elements that could
stand there. An element counts as similar if it shares an oxidation state with the masked element in
pymatgen's table of ionic radii, at a radius that differs by less than 0.1 Å. Elements without any
such neighbour (O, F and Na among them) are left out: no element could count as similar.
Source: Gruver et al., arXiv:2402.04379, the experiment on infilling.
"""

import sys
from itertools import islice

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.core.structure import Structure

from crystext import Crystal, CrystalLM, read_crystals, standardize

TOP = 5
RADII = {element.symbol: element.ionic_radii for element in map(Element.from_Z, range(1, 95))}


def similar(symbol: str) -> set[str]:
    return {
        other
        for other, radii in RADII.items()
        if other != symbol
        and any(abs(RADII[symbol].get(state, 99.0) - r) < 0.1 for state, r in radii.items())
    }


def well_known() -> list[Crystal]:
    cells = [
        ("Fm-3m", 4.21, {"Mg": [0, 0, 0], "O": [0.5, 0.5, 0.5]}),
        ("Fm-3m", 5.64, {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}),
        ("F-43m", 5.41, {"Zn": [0, 0, 0], "S": [0.25, 0.25, 0.25]}),
        ("Pm-3m", 4.12, {"Cs": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}),
        ("Pm-3m", 3.91, {"Sr": [0, 0, 0], "Ti": [0.5, 0.5, 0.5], "O": [0.5, 0.5, 0]}),
        ("Fm-3m", 5.46, {"Ca": [0, 0, 0], "F": [0.25, 0.25, 0.25]}),
    ]
    structures = [
        Structure.from_spacegroup(group, Lattice.cubic(a), list(atoms), list(atoms.values()))
        for group, a, atoms in cells
    ]
    return [Crystal.from_structure(structure) for structure in structures]


crystals = well_known()
if len(sys.argv) > 1:
    items = (item.crystal for item in read_crystals(sys.argv[1]))
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    crystals = list(islice((crystal for crystal in items if crystal), n))

lm, rng = CrystalLM.load(), np.random.default_rng(0)
first, among, countable = 0, 0, 0
for crystal in crystals:
    crystal, _ = standardize(crystal)
    # The element of an atom chosen uniformly: frequent elements are masked more often.
    masked = crystal.symbols[rng.integers(len(crystal))]
    completions = lm.infill(crystal, species={masked: "?"}, n=TOP + 1, min_distance_ratio=0.0)
    old = crystal.symbols.index(masked)
    names = [completion.crystal.symbols[old] for completion in completions]
    others = [name for name in names if name != masked][:TOP]
    likes = similar(masked)
    print(f"{masked:2} of {crystal.structure.composition.reduced_formula:8} {' '.join(others)}")
    if likes:
        countable += 1
        first += others[0] in likes
        among += sum(name in likes for name in others)
print(f"{countable} of {len(crystals)} masked elements have similar elements in the table")
if countable:
    print(f"the first suggestion is similar for {first / countable:.0%} of them,")
    print(f"and {among / (TOP * countable):.0%} of the first {TOP} are similar")
