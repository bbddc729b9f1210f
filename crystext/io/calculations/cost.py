"""Estimate how much one calculation costs in comparison with another.

    cost = s k b^2 w      s = 2 with spin, else 1; k irreducible k-points; b occupied bands,
                          half the valence electrons; w plane waves, V q^3 / 6 pi^2 with
                          q^2 = 2 m E / hbar^2

This is the term that grows fastest with the cell: keeping b bands of w coefficients orthogonal at
each k-point (Payne et al., Rev. Mod. Phys. 64, 1045 (1992)). It is given in units of
silicon in MPRelaxSet. It orders candidates; it is not a time: it knows nothing of the program, the
machine, or the number of steps until forces and density converge.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from crystext.io.calculations.base import CalculationSettings
from crystext.io.calculations.materials_project import (
    PLANE_WAVE_CUTOFF_EV,
    k_point_grid,
    valence_electrons,
)
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import spglib_environment

_WAVE_VECTOR_PER_ROOT_EV = 0.512317
"""Wave vector in 1/Å of a free electron with an energy of 1 eV: sqrt(2 m E) / hbar, from the CODATA
values 3.80998 eV Å^2 for hbar^2 / 2 m."""


class CostEstimate(NamedTuple):
    """The size of a calculation."""

    electrons: int
    """Valence electrons in the cell."""
    k_points: int
    """K-points that symmetry does not make equivalent."""
    plane_waves: int
    """Plane waves at each k-point, up to the cutoff."""
    relative_cost: float
    """In units of a calculation of silicon; see the module."""


def estimate_cost(crystal: Crystal, settings: CalculationSettings) -> CostEstimate:
    """Return the size of a calculation, and its cost relative to silicon."""
    electrons, k_points, plane_waves = _size(crystal, settings)
    spins = 2 if settings.is_spin_polarized else 1
    cost = spins * k_points * (math.ceil(electrons / 2)) ** 2 * plane_waves
    return CostEstimate(electrons, k_points, plane_waves, cost / _silicon())


def plane_wave_count(volume: float, cutoff_ev: float) -> int:
    """Return the number of plane waves below a cutoff in a cell.

    Args:
        volume: of the cell, in Å^3.
        cutoff_ev: kinetic energy, in eV.
    """
    radius = _WAVE_VECTOR_PER_ROOT_EV * math.sqrt(cutoff_ev)
    return max(1, round(volume * radius**3 / (6 * math.pi**2)))


def irreducible_k_points(crystal: Crystal, grid: tuple[int, int, int]) -> int:
    """Return how many points of a Gamma-centred grid differ by symmetry, with time reversal.

    All points if spglib finds no symmetry.
    """
    import spglib

    # spglib declares lists, yet takes arrays.
    cell: Any = (crystal.lattice, crystal.positions, crystal.numbers)
    with spglib_environment():
        try:
            found = spglib.get_ir_reciprocal_mesh(grid, cell, is_shift=(0, 0, 0), symprec=SYMPREC)
        except spglib.SpglibError:
            found = None
    return math.prod(grid) if found is None else len(np.unique(found[0]))


def _size(crystal: Crystal, settings: CalculationSettings) -> tuple[int, int, int]:
    electrons = round(sum(valence_electrons(symbol) for symbol in crystal.symbols))
    k_points = irreducible_k_points(crystal, settings.k_grid)
    return electrons, k_points, plane_wave_count(crystal.volume, settings.cutoff_ev)


@cache
def _silicon() -> float:
    """Return the cost of the primitive cell of silicon in MPRelaxSet, with spin."""
    edge = 5.431 / math.sqrt(2)
    silicon = Crystal(
        np.full(3, edge), np.full(3, 60.0), np.array([14, 14]), np.array([[0.0] * 3, [0.25] * 3])
    )
    grid = k_point_grid(silicon.structure)
    settings = CalculationSettings(grid, PLANE_WAVE_CUTOFF_EV, is_spin_polarized=True)
    electrons, k_points, plane_waves = _size(silicon, settings)
    return 2.0 * k_points * (electrons / 2) ** 2 * plane_waves
