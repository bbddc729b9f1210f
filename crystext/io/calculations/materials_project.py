"""Numbers of the Materials Project that pymatgen's input sets hold, for programs without such sets.

K-points by the density of MPRelaxSet, moments by its table, valence electrons by the POTCARs that
it names. Jain et al., APL Mater. 1, 011002 (2013); the tables are pymatgen's `MPRelaxSet.yaml` and
`potcar-summary-stats`.
"""

from __future__ import annotations

import bz2
import json
from functools import cache
from pathlib import Path
from typing import Any

from pymatgen.core.structure import Structure
from pymatgen.io.vasp.inputs import POTCAR_STATS_PATH, Kpoints
from pymatgen.io.vasp.sets import MPRelaxSet

from crystext.structures.crystal import Crystal

K_POINT_DENSITY = 64
"""K-points per volume of the reciprocal cell in Å^-3, as in MPRelaxSet."""

PLANE_WAVE_CUTOFF_EV = 520.0
"""Cutoff of MPRelaxSet, in eV."""


def k_point_grid(structure: Structure) -> tuple[int, int, int]:
    """Return the numbers of k-points of MPRelaxSet along the three reciprocal vectors."""
    grid = Kpoints.automatic_density_by_vol(structure, K_POINT_DENSITY).kpts[0]
    return int(grid[0]), int(grid[1]), int(grid[2])


def starting_moments(crystal: Crystal) -> list[float]:
    """Return a magnetic moment for each site to start from, in Bohr magnetons.

    The table of MPRelaxSet, all moments parallel; 0 for elements that it does not list, to which
    MPRelaxSet itself gives 0.6. What goes wrong otherwise: a calculation of iron that starts
    without moments ends without them.
    """
    table: dict[str, float] = MPRelaxSet.CONFIG["INCAR"]["MAGMOM"]
    return [float(table.get(symbol, 0.0)) for symbol in crystal.symbols]


def potcar_names() -> dict[str, str]:
    """Return the POTCAR that MPRelaxSet names for each element."""
    names: dict[str, str] = MPRelaxSet.CONFIG["POTCAR"]
    return names


def valence_electrons(element: str) -> float:
    """Return the valence electrons of an element's POTCAR in MPRelaxSet.

    An element without one counts with all electrons outside the core of a noble gas.
    """
    from pymatgen.core.periodic_table import Element

    known = _electrons_by_potcar().get(potcar_names().get(element, ""))
    if known is not None:
        return known
    number = Element(element).Z
    return float(number - max((z for z in (0, 2, 10, 18, 36, 54, 86) if z < number), default=0))


@cache
def _electrons_by_potcar() -> dict[str, float]:
    statistics = json.loads(bz2.decompress(Path(POTCAR_STATS_PATH).read_bytes()))
    found: dict[str, float] = {}
    variants: list[dict[str, Any]]
    for variants in statistics["PBE"].values():
        for variant in variants:
            found.setdefault(variant["symbol"], float(variant["ZVAL"]))
    return found
