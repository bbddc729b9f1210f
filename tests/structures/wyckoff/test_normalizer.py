from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.structures.augment import randomize_description
from crystext.structures.wyckoff.cell_parameters import free_parameter_names
from crystext.structures.wyckoff.normalizer import euclidean_normalizer
from crystext.structures.wyckoff.orbits import Orbit, WyckoffCrystal, from_wyckoff
from crystext.structures.wyckoff.positions import (
    N_SPACE_GROUPS,
    symmetry_operations,
    wyckoff_positions,
)

LENGTHS = {"a": 6.1, "b": 7.3, "c": 8.9, "alpha": 83.0, "beta": 103.0, "gamma": 97.0}


def some_crystal(group: int, rng: np.random.Generator) -> WyckoffCrystal:
    """Two orbits of the smallest positions, at coordinates without symmetry of their own."""
    known = sorted(wyckoff_positions(group).values(), key=lambda p: p.multiplicity)[:6]
    orbits = []
    for number in (11, 17):
        position = known.pop(int(rng.integers(len(known))))
        orbits.append(Orbit(number, position, 0.06 + 0.09 * rng.random(len(position.free_axes))))
        known = known or [position]
    cell = tuple(LENGTHS[name] for name in free_parameter_names(group))
    return WyckoffCrystal(group, tuple(orbits), cell)


@pytest.mark.parametrize("group", range(1, N_SPACE_GROUPS + 1))
def test_every_choice_maps_the_operations_of_the_group_onto_themselves(group: int) -> None:
    rotations, translations = symmetry_operations(group)
    found = euclidean_normalizer(group)
    assert any((r == np.eye(3)).all() and not s.any() for r, s in zip(*found[:2], strict=True))
    rng = np.random.default_rng(group)
    for axes, shift in list(zip(*found[:2], strict=True))[:: max(1, len(found.shifts) // 8)]:
        assert np.linalg.det(axes) == pytest.approx(1.0)
        moved = shift + found.free_origin * rng.random(3)
        site = rng.random(3)
        # The orbit of the image is the image of the orbit.
        image = (rotations @ site + translations) @ axes.T + moved
        orbit = rotations @ (axes @ site + moved) + translations
        off = image[:, None] - orbit
        assert (np.abs(off - np.rint(off)).max(axis=2) < 1e-6).any(axis=1).all()


def test_the_choices_are_as_many_as_the_tables_list() -> None:
    # International Tables A, table 3.5.2.3: additional translations of Pnma, Fm-3m and P-1 are
    # (1/2,0,0), (0,1/2,0), (0,0,1/2); (1/2,1/2,1/2); and again the first three. The last factor
    # counts rotations and the centring, which belong to the group.
    for group, translations, own in ((62, 8, 4), (225, 2, 24 * 4), (2, 8, 1)):
        assert len(euclidean_normalizer(group).rotations) == translations * own


@settings(max_examples=40, deadline=None)
@given(st.integers(1, N_SPACE_GROUPS), st.integers(0, 2**32))
def test_another_description_is_of_the_same_crystal(group: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symmetric = some_crystal(group, rng)
    other = randomize_description(symmetric, rng)
    assert other.space_group == group
    assert sorted(other.cell) == sorted(symmetric.cell)
    before, after = from_wyckoff(symmetric), from_wyckoff(other)
    assert sorted(before.symbols) == sorted(after.symbols)
    matcher = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.1, primitive_cell=False)
    assert matcher.fit(before.structure, after.structure)
