"""Estimated energies: a correction that fits, heights over a hull, and quantiles in an order."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.structures.crystal import Crystal
from evaluation.shipped_model.estimated_energies import (
    element_correction,
    element_fractions,
    formation_energies,
    heights_above,
    hull_of,
    quantiles_in_order,
)

REFERENCES = {"Na": -1.0, "Cl": -2.0}


def cell(*numbers: int) -> Crystal:
    positions = np.linspace(0, 0.9, 3 * len(numbers)).reshape(-1, 3)
    return Crystal(np.full(3, 6.0), np.full(3, 90.0), np.array(numbers), positions)


def test_the_correction_finds_what_elements_are_off_by_whatever_a_few_crystals_say() -> None:
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet(np.ones(5), 400)
    off = np.array([0.1, -0.2, 0.0, 0.05, 0.3])
    differences = fractions @ off
    differences[:10] += 3
    differences[10:20] = np.nan
    assert element_correction(fractions, differences) == pytest.approx(off, abs=0.02)


def test_formation_energies_are_relative_to_the_elements_and_unknown_without_one() -> None:
    crystals = [cell(11, 17), cell(11, 11, 17), cell(11, 9)]
    found = formation_energies(crystals, np.array([-3.5, -2.0, -2.0]), REFERENCES)
    assert found[:2] == pytest.approx([-2.0, -2.0 + 4 / 3])
    assert np.isnan(found[2])
    assert element_fractions(crystals)[1, 11] == pytest.approx(2 / 3)


def test_heights_say_how_well_the_hull_covers_a_crystal() -> None:
    hull = hull_of([cell(11, 17), cell(11, 17)], np.array([-2.0, np.nan]), REFERENCES)
    above, evidence = heights_above(
        [cell(11, 17), cell(11, 11, 11, 17), cell(11, 9), cell(11, 17)],
        np.array([-1.9, -0.5, -1.0, np.nan]),
        hull,
    )
    assert above[:2] == pytest.approx([0.1, 0.5])
    assert np.isnan(above[2:]).all()
    assert evidence == ["composition", "none", "", ""]


def test_the_lowest_gets_the_lowest_quantile_and_what_has_no_place_the_median() -> None:
    published = np.array([0.03, 0.05, 0.07])
    found = quantiles_in_order(np.array([0.4, np.nan, -0.3, 0.1]), published)
    assert found[2] < found[3] < found[0]
    assert found[1] == 0.05
    assert published.min() <= found.min()
    assert found.max() <= published.max()
    many = quantiles_in_order(np.arange(1000.0), published)
    assert np.median(many) == pytest.approx(0.05, abs=1e-3)
