"""Close contacts and isolated atoms."""

from __future__ import annotations

import numpy as np
import pytest
from ase.data import covalent_radii
from hypothesis import given, settings

from crystext.metrics.base import MetricInput
from crystext.metrics.contact_distances import (
    contact_ratio,
    has_isolated_atom,
    nearest_ratios,
    neighbour_ratio,
)
from crystext.metrics.registry import METRICS
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ
from tests.strategies import crystals


def oracle(crystal: Crystal, reach: float = 12.0) -> np.ndarray:
    """Return the ratios by pymatgen's list of neighbours."""
    radii = covalent_radii[crystal.numbers]
    first, second, _, distances = crystal.structure.get_neighbor_list(reach)
    ratios = np.full(len(crystal), np.inf)
    np.minimum.at(ratios, first, distances / (radii[first] + radii[second]))
    return ratios


@pytest.mark.parametrize("name", list(EXAMPLE_CRYSTALS))
def test_ratios_are_those_of_an_independent_list_of_neighbours(name):
    crystal = EXAMPLE_CRYSTALS[name]
    assert nearest_ratios(crystal) == pytest.approx(oracle(crystal), abs=1e-6)


@given(crystals())
@settings(max_examples=30)
def test_ratios_do_not_depend_on_the_origin(crystal):
    moved = Crystal(
        crystal.lengths, crystal.angles, crystal.numbers, (crystal.positions + 0.37) % 1.0
    )
    assert nearest_ratios(moved) == pytest.approx(nearest_ratios(crystal), rel=1e-6, abs=1e-6)


def test_an_atom_sees_its_own_images():
    chain = Crystal([2.0, 9.0, 9.0], [90.0] * 3, [29], np.zeros((1, 3)))
    assert contact_ratio(chain) == pytest.approx(2.0 / (2 * covalent_radii[29]))


def test_an_atom_that_has_fallen_out_is_isolated_and_its_neighbours_are_not():
    salt = Crystal([9.0] * 3, [90.0] * 3, [11, 17, 18], [[0, 0, 0], [0.3, 0, 0], [0.5, 0.5, 0.5]])
    assert has_isolated_atom(salt)
    assert neighbour_ratio(salt) > 2
    assert not has_isolated_atom(NACL)


def test_a_cell_without_volume_has_a_contact():
    flat = Crystal([1e-3] * 3, [90.0] * 3, [11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert contact_ratio(flat) == 0


def test_failures_are_in_the_denominator_and_have_no_value():
    close = Crystal([3.05] * 3, [60.0] * 3, [11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]])
    ratio = contact_ratio(close)
    assert 0.75 < ratio < 0.85
    samples = MetricInput([Record(close), Record(failure=Failure("TRUNCATED")), Record(QUARTZ)])
    assert METRICS["contact_below_75"].compute(samples) == [False, None, False]
    assert METRICS["contact_below_85"].compute(samples) == [True, None, False]
    assert METRICS["isolated_atom"].compute(samples) == [False, None, False]
