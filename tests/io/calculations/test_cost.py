"""The cost of a calculation, compared with counts made otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystext.io.calculations.base import CalculationSettings
from crystext.io.calculations.cost import estimate_cost, irreducible_k_points, plane_wave_count
from crystext.io.calculations.materials_project import potcar_names, valence_electrons
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, crystal

SILICON = crystal([3.8403] * 3, [60] * 3, [("Si", [0, 0, 0]), ("Si", [0.25, 0.25, 0.25])])
SETTINGS = CalculationSettings((6, 6, 6), 520.0, is_spin_polarized=True)
HBAR2_BY_2M = 3.809982  # eV Å^2


def cost(cell: Crystal, settings: CalculationSettings = SETTINGS) -> float:
    return estimate_cost(cell, settings).relative_cost


@pytest.mark.parametrize("name", ["nacl", "wurtzite", "quartz"])
def test_plane_waves_are_the_reciprocal_vectors_below_the_cutoff(name: str) -> None:
    cell = EXAMPLE_CRYSTALS[name]
    vectors = 2 * np.pi * np.linalg.inv(cell.lattice).T
    counts = np.array(list(itertools.product(range(-14, 15), repeat=3)))
    energies = HBAR2_BY_2M * ((counts @ vectors) ** 2).sum(axis=1)
    assert plane_wave_count(cell.volume, 520.0) == pytest.approx((energies < 520).sum(), rel=0.02)


def test_k_points_of_silicon_are_those_of_the_literature() -> None:
    """Face-centred cubic, Gamma-centred: 8, 16 and 29 points for 4, 6 and 8 divisions."""
    found = [irreducible_k_points(SILICON, (n, n, n)) for n in (4, 6, 8)]
    assert found == [8, 16, 29]


@pytest.mark.parametrize("name", ["wurtzite", "iron", "quartz"])
def test_k_points_agree_with_pymatgen(name: str) -> None:
    cell = EXAMPLE_CRYSTALS[name]
    mesh = SpacegroupAnalyzer(cell.structure, symprec=0.1).get_ir_reciprocal_mesh((5, 5, 4))
    assert irreducible_k_points(cell, (5, 5, 4)) == len(mesh)


def test_every_potcar_of_the_set_has_its_valence_electrons() -> None:
    assert [valence_electrons(x) for x in ("H", "O", "Na", "Fe", "Ti", "Zr")] == [
        1, 6, 7, 14, 10, 12,
    ]  # fmt: skip
    assert all(0 < valence_electrons(element) <= 24 for element in potcar_names())
    assert valence_electrons("Ra") == 2


def test_silicon_is_the_unit() -> None:
    assert cost(SILICON) == pytest.approx(1, rel=0.6)
    assert estimate_cost(SILICON, SETTINGS).electrons == 8


def test_twice_the_cell_costs_eight_times_as_much_at_the_same_k_points() -> None:
    settings = replace(SETTINGS, k_grid=(1, 1, 1))
    double = Crystal(
        NACL.lengths * [1, 1, 2], NACL.angles, np.tile(NACL.numbers, 2),
        np.concatenate([NACL.positions * [1, 1, 0.5], NACL.positions * [1, 1, 0.5] + [0, 0, 0.5]]),
    )  # fmt: skip
    assert cost(double, settings) == pytest.approx(8 * cost(NACL, settings), rel=0.01)


def test_spin_doubles_the_cost_and_a_cutoff_raises_it() -> None:
    plain = replace(SETTINGS, is_spin_polarized=False)
    assert cost(NACL) == pytest.approx(2 * cost(NACL, plain))
    assert cost(NACL, replace(SETTINGS, cutoff_ev=680.0)) > cost(NACL)
