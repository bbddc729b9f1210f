"""FHI-aims: geometry.in, written by ASE, and control.in with the names of its species defaults.

The species defaults are part of the licensed program: species.spec names their files, in the order
in which they are appended to control.in. No U is set: those of the Materials Project belong to the
projectors of VASP's POTCARs.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from ase.io.aims import format_aims_control_parameter, write_aims

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.io.calculations.atoms import atoms_with_moments
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import PLANE_WAVE_CUTOFF_EV, k_point_grid
from crystext.runtime.files import write_text

_RELAX_ATOMS = {"relax_geometry": "trm 1e-2"}
"""The trust-radius method until no force exceeds 1e-2 eV/Å."""

_SETTINGS: dict[str, dict[str, str]] = {
    "relax-cell": {**_RELAX_ATOMS, "relax_unit_cell": "full"},
    "relax": _RELAX_ATOMS,
    "static": {},
}


def write_fhi_aims(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write `geometry.in`, `control.in` and `species.spec`."""
    atoms = atoms_with_moments(candidate.crystal)
    is_magnetic = bool(atoms.get_initial_magnetic_moments().any())
    grid = k_point_grid(candidate.crystal.structure)
    species = [f"{ATOMIC_NUMBERS[x]:02d}_{x}_default" for x in dict.fromkeys(atoms.symbols)]
    settings = {
        "xc": "pbe",
        "relativistic": "atomic_zora scalar",
        "spin": "collinear" if is_magnetic else "none",
        "occupation_type": "gaussian 0.05",
        "k_grid": " ".join(map(str, grid)),
        **_SETTINGS[input_set],
    }
    control = "".join(format_aims_control_parameter(*line) for line in settings.items())
    listed = "".join(f"# append the species defaults {name}\n" for name in species)
    write_text(folder / "geometry.in", _geometry(atoms))
    write_text(folder / "control.in", control + listed)
    write_text(folder / "species.spec", "\n".join(species) + "\n")
    return CalculationSettings(grid, PLANE_WAVE_CUTOFF_EV, is_magnetic, " ".join(species))


def _geometry(atoms: Any) -> str:
    """Return geometry.in without the head that ASE writes: it holds the time, and no data."""
    written = io.StringIO()
    with warnings.catch_warnings():
        # ASE 3.29 moves this function to a package of its own; it stays as format "aims".
        warnings.simplefilter("ignore", FutureWarning)
        write_aims(written, atoms)
    lines = written.getvalue().splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip() and not line.startswith("#"))


TARGET = ExportTarget(
    "FHI-aims, by ASE",
    write_fhi_aims,
    input_sets=tuple(_SETTINGS),
    to_do="Append the files that species.spec names to control.in, from species_defaults of "
    "FHI-aims: `for f in $(cat species.spec); do cat DEFAULTS/$f >> control.in; done`.",
)
