"""VASP: INCAR, KPOINTS and POSCAR by pymatgen's input sets, and the POTCARs by name.

U values, starting moments, k-points and names of POTCARs are those of the set. MPRelaxSet, for one,
has a U for V, Cr, Mn, Fe, Co, Ni, Mo and W where oxygen or fluorine is the most electronegative
element, and for nothing else. POTCARs are licensed, so that POTCAR.spec names them, one a line in
the order of POSCAR.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core.structure import Structure
from pymatgen.io.vasp import sets
from pymatgen.io.vasp.sets import VaspInputSet

from crystext.errors import InputError
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget

_INPUT_SETS = (
    "MPRelaxSet",
    "MPScanRelaxSet",
    "MP24RelaxSet",
    "MPMetalRelaxSet",
    "MPStaticSet",
    "MPScanStaticSet",
    "MP24StaticSet",
    "MatPESStaticSet",
)
"""Classes of `pymatgen.io.vasp.sets`. Those with SCAN or 24 are r2SCAN, the others PBE(+U)."""


def write_vasp(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write INCAR, POSCAR, POTCAR.spec, and KPOINTS unless the set gives their spacing.

    Raises:
        InputError: the set names no POTCAR for an element.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vasp = getattr(sets, input_set)(candidate.crystal.structure)
        _require_potcars(vasp, input_set)
        vasp.write_input(str(folder), potcar_spec=True)
        incar = vasp.incar
    notes = dict.fromkeys(_sentence(warning.message) for warning in caught if _concerns(warning))
    return CalculationSettings(
        _k_grid(vasp, incar),
        float(incar["ENCUT"]),
        incar.get("ISPIN", 1) == 2,
        f"{vasp.potcar_functional}: {' '.join(vasp.potcar_symbols)}",
        tuple(notes),
    )


def _require_potcars(vasp: VaspInputSet, input_set: str) -> None:
    """Raise unless the set names a POTCAR for each element.

    What goes wrong otherwise: pymatgen names it after the element, whether there is one or not.
    """
    named = vasp._config_dict["POTCAR"]
    assert vasp.structure is not None
    missing = sorted(x for x in vasp.structure.symbol_set if x not in named)
    if missing:
        raise InputError(
            f"{input_set} names no POTCAR for {', '.join(missing)}; try another input set"
        )


def _k_grid(vasp: VaspInputSet, incar: Any) -> tuple[int, int, int]:
    """Return the grid of KPOINTS, or the one that VASP makes of KSPACING.

    VASP takes max(1, ceil(|b| / KSPACING)) points along a vector b of the reciprocal cell, which
    includes the factor 2 pi.
    """
    kpoints = vasp.kpoints
    if kpoints is not None:
        grid = kpoints.kpts[0]
        return int(grid[0]), int(grid[1]), int(grid[2])
    assert isinstance(vasp.structure, Structure)
    lengths = np.array(vasp.structure.lattice.reciprocal_lattice.abc)
    a, b, c = (max(1, math.ceil(x)) for x in (lengths / float(incar["KSPACING"])).tolist())
    return a, b, c


def _concerns(warning: warnings.WarningMessage) -> bool:
    """Return whether a warning is about the input, not about the program."""
    return not issubclass(warning.category, DeprecationWarning | FutureWarning | ImportWarning)


def _sentence(message: Warning | str) -> str:
    return " ".join(str(message).split())


TARGET = ExportTarget(
    "VASP, by the input sets of pymatgen",
    write_vasp,
    input_sets=_INPUT_SETS,
    to_do="POTCAR.spec names the POTCARs in the order of POSCAR; put them together as POTCAR. It "
    "does not say of which functional they are; the index does. With pymatgen: "
    "`PMG_DEFAULT_FUNCTIONAL=PBE_54 pmg potcar --recursive .`, for POTCARs of PBE_54.",
)
