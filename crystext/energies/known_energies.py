"""Crystals with known energies, by which a potential is checked.

`FORMATION_ENERGIES` suits any potential: three compounds of solid elements with measured heats of
formation. A potential that is run differently than it was trained is off by some eV/atom, even if
it is right for elements; one that works is within 0.1 eV/atom, for any functional it was trained
on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.structures.crystal import Crystal

_Sites = Sequence[tuple[str, Sequence[Sequence[float]]]]


def _cubic(length: float, sites: _Sites) -> Crystal:
    return _cell([length] * 3, [90.0] * 3, sites)


def _cell(lengths: Sequence[float], angles: Sequence[float], sites: _Sites) -> Crystal:
    return Crystal(
        np.array(lengths, dtype=np.float64),
        np.array(angles, dtype=np.float64),
        np.array([ATOMIC_NUMBERS[symbol] for symbol, places in sites for _ in places]),
        np.array([place for _, places in sites for place in places], dtype=np.float64),
    )


_CORNERS = [(0.0, 0.0, 0.0)]
_FACES = [(0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)]
_EDGES = [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)]
_CENTER = [(0.5, 0.5, 0.5)]
_FCC = _CORNERS + _FACES
_QUARTERS = [(x + 0.25, y + 0.25, z + 0.25) for x, y, z in _FCC]
_HCP = [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)]

MOS = _cubic(4.0, [("Mo", _CORNERS), ("S", _CENTER)])
"""A cell of a fictitious substance; its energy is in matgl's own tests."""
SI = _cubic(5.468, [("Si", _FCC + _QUARTERS)])
NACL = _cubic(5.692, [("Na", _FCC), ("Cl", _CENTER + _EDGES)])
MGO = _cubic(4.25, [("Mg", _FCC), ("O", _CENTER + _EDGES)])
SRTIO3 = _cubic(3.945, [("Sr", _CORNERS), ("Ti", _CENTER), ("O", _FACES)])

ELEMENT_CRYSTALS: dict[str, Crystal] = {
    "Al": _cubic(4.04, [("Al", _FCC)]),
    "C": _cubic(3.573, [("C", _FCC + _QUARTERS)]),
    "Ni": _cubic(3.52, [("Ni", _FCC)]),
    "Si": SI,
    "Ti": _cell([2.93, 2.93, 4.65], [90.0, 90.0, 120.0], [("Ti", _HCP)]),
}
"""Solid elements, near the lattice constants of PBE; carbon is diamond, 0.02 eV above graphite."""

FORMATION_ENERGIES: tuple[tuple[str, Crystal, float], ...] = (
    ("NiAl", _cubic(2.89, [("Ni", _CORNERS), ("Al", _CENTER)]), -0.614),
    ("SiC", _cubic(4.38, [("Si", _FCC), ("C", _QUARTERS)]), -0.379),
    ("TiC", _cubic(4.34, [("Ti", _FCC), ("C", _CENTER + _EDGES)]), -0.954),
)
"""Compounds of `ELEMENT_CRYSTALS`, and their measured heats of formation in eV/atom.

NiAl -118.4 kJ/mol (O. Kubaschewski et al., Materials Thermochemistry, 1993); SiC -73.2 and TiC
-184.1 kJ/mol (M. W. Chase, NIST-JANAF Thermochemical Tables, 1998); 96.485 kJ/mol is 1 eV.
"""

FORMATION_ENERGY_TOLERANCE = 0.2
"""eV/atom. PBE and potentials trained on it come within 0.1; one run wrongly is off by 0.5."""
