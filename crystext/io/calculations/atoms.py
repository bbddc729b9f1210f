"""Candidates as ASE's `Atoms` with starting moments, for the programs whose files ASE writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystext.io.calculations.materials_project import starting_moments

if TYPE_CHECKING:
    from ase import Atoms

    from crystext.structures.crystal import Crystal


def atoms_with_moments(crystal: Crystal) -> Atoms:
    """Return a crystal with the starting moments of `starting_moments`, in Bohr magnetons.

    Without any moment above zero it has none, which programs take for no spin polarisation.
    """
    atoms = crystal.to_ase()
    moments = starting_moments(crystal)
    if any(moments):
        atoms.set_initial_magnetic_moments(moments)
    return atoms
