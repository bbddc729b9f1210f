"""Of the pairs of atoms that bound a cell, those are left out that another one makes redundant."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.grammar.wyckoff.cell_bounds import CellBounds
from crystext.grammar.wyckoff.contact_pairs import contact_terms
from crystext.structures.distances import min_distances
from crystext.text import WYCKOFF

LATTICE_TERMS = {"cubic": 1, "tetragonal": 2, "hexagonal": 2, "orthorhombic": 3}


@pytest.mark.parametrize("system", LATTICE_TERMS)
def test_no_pair_that_bounds_a_cell_is_left_out(system: str) -> None:
    random, count = np.random.default_rng(0), LATTICE_TERMS[system]
    table = min_distances(0.65)
    orbits = [random.random((size, 3)) for size in (1, 4, 8)]
    numbers = [14, 8, 8]
    found = contact_terms(system, orbits, numbers, table)
    assert found.shape[1] == count
    single = [
        contact_terms(system, [orbit], [z], table) for orbit, z in zip(orbits, numbers, strict=True)
    ]
    squares = random.uniform(4, 100, (count, 200))
    # All orbits together are at most as far apart as each alone.
    least = (found @ squares).min(axis=0)
    for alone in single:
        assert (least <= (alone @ squares).min(axis=0) * (1 + 1e-9)).all()
    # No row is redundant: each is the least somewhere, or equals none in all terms.
    for i, row in enumerate(found):
        others = np.delete(found, i, axis=0)
        assert not (others <= row).all(axis=1).any()


@pytest.mark.parametrize("beside", [0.0, 2e-5, -8e-5])
def test_a_pair_almost_along_an_axis_bounds_it_as_one_along_it(beside: float) -> None:
    caesium = 55
    sites = [np.array([[0.0, 0.0, 0.0], [0.3, 0.0, beside]])]
    bounds = CellBounds(WYCKOFF, 10, sites, [caesium], 0.65)
    least = min_distances(0.65)[caesium, caesium]
    found = bounds.distance_margin([], np.array([0.9, 1.1]) * least / 0.3)
    assert found == pytest.approx([0.9**2, 1.1**2], rel=1e-3)
