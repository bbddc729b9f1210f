"""CP2K: the input of Quickstep, by pymatgen's sets.

PBE with GTH pseudopotentials and DZVP-MOLOPT-SR-GTH basis sets, which CP2K finds by name in its
data folder (VandeVondele and Hutter, J. Chem. Phys. 127, 114105 (2007)). Diagonalisation with
smearing, since orbital transformation needs a gap. No U is set: those of the Materials Project
belong to the projectors of VASP's POTCARs.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pymatgen.io.cp2k.inputs import Section
from pymatgen.io.cp2k.sets import CellOptSet, RelaxSet, StaticSet
from pymatgen.io.vasp.inputs import Kpoints

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import (
    PLANE_WAVE_CUTOFF_EV,
    k_point_grid,
    starting_moments,
)
from crystext.runtime.files import write_text

_BASIS, _POTENTIAL = "DZVP-MOLOPT-SR-GTH", "GTH-PBE"

_INPUT_SETS = {"CellOptSet": CellOptSet, "RelaxSet": RelaxSet, "StaticSet": StaticSet}
"""Classes of `pymatgen.io.cp2k.sets`: atoms and cell, atoms alone, neither."""

_NO_CUBES = dict.fromkeys(("print_mo_cubes", "print_v_hartree", "print_e_density"), False)
"""Keywords that leave out volumetric data: a relaxation does not need them, and they fill disks."""


def write_cp2k(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write `cp2k.inp`.

    Raises:
        InputError: an element is a lanthanide or actinide, for which BASIS_MOLOPT has no basis.
    """
    structure = candidate.crystal.structure
    symbols = sorted(structure.symbol_set)
    heavy = [symbol for symbol in symbols if _is_beyond(ATOMIC_NUMBERS[symbol])]
    if heavy:
        raise InputError(
            f"BASIS_MOLOPT of CP2K has no {_BASIS} for {', '.join(heavy)}; export these to another "
            "program"
        )
    moments = starting_moments(candidate.crystal)
    is_magnetic = any(moments)
    if is_magnetic:
        structure.add_site_property("magmom", moments)
    grid = k_point_grid(structure)
    names: dict[str, Any] = {x: {"basis": _BASIS, "potential": _POTENTIAL} for x in symbols}
    with warnings.catch_warnings():
        # It says that it cannot see CP2K's data folder, and writes the names.
        warnings.simplefilter("ignore")
        written = _INPUT_SETS[input_set](
            structure=structure,
            basis_and_potential={
                **names,
                "basis_filenames": ["BASIS_MOLOPT"],
                "potential_filename": "GTH_POTENTIALS",
            },
            xc_functionals="PBE",
            ot=False,
            smearing=True,
            spin_polarized=is_magnetic,
            kpoints=Kpoints.monkhorst_automatic(grid),
            cutoff=600,
            rel_cutoff=60,
            **_NO_CUBES,
        )
    _sort_kinds(written["FORCE_EVAL"]["SUBSYS"])
    write_text(folder / "cp2k.inp", written.get_str())
    return CalculationSettings(grid, PLANE_WAVE_CUTOFF_EV, is_magnetic, f"{_BASIS} {_POTENTIAL}")


def _sort_kinds(subsystem: Section) -> None:
    """Sort the sections by name: pymatgen takes kinds from a set, in an order that differs."""
    subsystem.subsections = dict(sorted(subsystem.subsections.items()))


def _is_beyond(number: int) -> bool:
    """Return whether an element is a lanthanide, or heavier than radon."""
    return 57 <= number <= 71 or number > 86


TARGET = ExportTarget(
    "CP2K, Quickstep, by the input sets of pymatgen",
    write_cp2k,
    input_sets=tuple(_INPUT_SETS),
    to_do="BASIS_MOLOPT and GTH_POTENTIALS are files of CP2K's data folder.",
)
