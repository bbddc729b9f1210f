"""ABINIT: the input, written by ASE.

PBE with norm-conserving pseudopotentials, of which only the names are given: `Fe.psp8`, as
PseudoDojo calls its files (van Setten et al., Comput. Phys. Commun. 226, 39 (2018)). No U is set:
those of the Materials Project belong to the projectors of VASP's POTCARs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from ase.io.abinit import write_abinit_in

from crystext.io.calculations.atoms import atoms_with_moments
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import k_point_grid

_CUTOFF_HARTREE = 50.0
_HARTREE_IN_EV = 27.211386

_RELAX_ATOMS = {"ionmov": 22, "ntime": 100, "tolmxf": 5e-5}
"""L-BFGS until no force exceeds 5e-5 Ha/Bohr."""

_SETTINGS: dict[str, dict[str, Any]] = {
    "relax-cell": {**_RELAX_ATOMS, "optcell": 2, "ecutsm": 0.5, "dilatmx": 1.1, "tolvrs": 1e-8},
    "relax": {**_RELAX_ATOMS, "tolvrs": 1e-8},
    "static": {"tolvrs": 1e-10},
}
"""Keywords of each input set. ABINIT takes exactly one criterion to end the self-consistent loop,
here `tolvrs`."""


def write_abinit(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write `run.abi`."""
    atoms = atoms_with_moments(candidate.crystal)
    grid = k_point_grid(candidate.crystal.structure)
    species = sorted(set(atoms.numbers.tolist()))
    settings = {
        **_SETTINGS[input_set],
        "xc": "PBE",
        "ecut": _CUTOFF_HARTREE * _HARTREE_IN_EV,
        "kptopt": 1,
        "ngkpt": list(grid),
        "nshiftk": 1,
        # ASE's own `kpts` shifts even grids by a half.
        "shiftk": [0.0, 0.0, 0.0],
        "nstep": 100,
        "smearing": ("gaussian", 0.1),
        "pp_dirpath": '"./pseudo"',
    }
    names = [f"{chemical_symbols[number]}.psp8" for number in species]
    with (folder / "run.abi").open("w", encoding="utf-8", newline="\n") as file:
        write_abinit_in(
            file,
            atoms,
            param=settings,
            species=species,
            pseudos=names,
        )
    is_magnetic = bool(atoms.get_initial_magnetic_moments().any())
    return CalculationSettings(grid, settings["ecut"], is_magnetic, " ".join(names))


TARGET = ExportTarget(
    "ABINIT, by ASE",
    write_abinit,
    input_sets=tuple(_SETTINGS),
    to_do="Put the pseudopotentials that `pseudos` names into the folder `pseudo`, and converge "
    "ecut for them.",
)
