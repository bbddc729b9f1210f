"""Quantum ESPRESSO: the input of pw.x, written by ASE.

PBE with norm-conserving pseudopotentials, of which only the names are given: `Fe.upf`, as
PseudoDojo calls its files (van Setten et al., Comput. Phys. Commun. 226, 39 (2018)). The cutoff of
100 Ry is meant for these. No U is set: those of the Materials Project belong to the projectors of
VASP's POTCARs.
"""

from __future__ import annotations

from pathlib import Path

from ase.io.espresso import write_espresso_in

from crystext.io.calculations.atoms import atoms_with_moments
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import k_point_grid, valence_electrons

_CUTOFF_RY = 100.0
_RY_IN_EV = 13.605693

_INPUT_SETS = ("vc-relax", "relax", "scf")
"""Values of `calculation` in the namelist CONTROL: atoms and cell, atoms alone, neither."""


def write_quantum_espresso(
    candidate: Candidate, folder: Path, input_set: str
) -> CalculationSettings:
    """Write `pw.in`.

    `starting_magnetization` is a fraction of the valence electrons, here of those of VASP's POTCAR.
    What goes wrong otherwise: up to version 7.2, pw.x multiplies a moment in Bohr magnetons by the
    valence electrons; later it still does so below 1.
    """
    atoms = atoms_with_moments(candidate.crystal)
    moments = atoms.get_initial_magnetic_moments()
    is_magnetic = bool(moments.any())
    if is_magnetic:
        valence = [valence_electrons(symbol) for symbol in candidate.crystal.symbols]
        atoms.set_initial_magnetic_moments((moments / valence).round(4))
    n_atoms = len(atoms)
    grid = k_point_grid(candidate.crystal.structure)
    data = {
        "control": {
            "calculation": input_set,
            "prefix": candidate.stem,
            "pseudo_dir": "./pseudo",
            "outdir": "./out",
            "etot_conv_thr": 1e-5 * n_atoms,
            "forc_conv_thr": 1e-4,
            "tprnfor": True,
            "tstress": True,
        },
        "system": {
            "ecutwfc": _CUTOFF_RY,
            "ecutrho": 4 * _CUTOFF_RY,
            "occupations": "smearing",
            "smearing": "cold",
            "degauss": 0.01,
            "nspin": 2 if is_magnetic else 1,
        },
        "electrons": {"conv_thr": 1e-10 * n_atoms, "mixing_beta": 0.4},
    }
    names = {symbol: f"{symbol}.upf" for symbol in dict.fromkeys(atoms.symbols)}
    with (folder / "pw.in").open("w", encoding="utf-8", newline="\n") as file:
        write_espresso_in(
            file,
            atoms,
            input_data=data,
            pseudopotentials=names,
            kpts=grid,
            crystal_coordinates=True,
        )
    return CalculationSettings(grid, _CUTOFF_RY * _RY_IN_EV, is_magnetic, " ".join(names.values()))


TARGET = ExportTarget(
    "Quantum ESPRESSO, pw.x, by ASE",
    write_quantum_espresso,
    input_sets=_INPUT_SETS,
    to_do="Put the pseudopotentials that ATOMIC_SPECIES names into the folder `pseudo`, and "
    "converge ecutwfc for them.",
)
