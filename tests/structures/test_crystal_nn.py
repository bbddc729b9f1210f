"""Environments beside those of pymatgen's CrystalNN, which tessellates."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from pymatgen.core.local_env import CrystalNN

from crystext.errors import InputError
from crystext.metrics.structure_validity import structure_failure
from crystext.structures.crystal import Crystal
from crystext.structures.crystal_nn import environments, nearest_neighbours
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.strategies import crystals


def pymatgens(crystal):
    """Probabilities by coordination number, of each atom."""
    structure = crystal.structure
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [CrystalNN().get_nn_data(structure, i) for i in range(len(structure))]
    return [{n: w for n, w in data.cn_weights.items() if n > 0} for data in found]


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_environments_are_those_of_crystalnn(name):
    for found, expected in zip(
        environments(EXAMPLE_CRYSTALS[name]), pymatgens(EXAMPLE_CRYSTALS[name]), strict=True
    ):
        assert {len(e.vectors): e.probability for e in found} == pytest.approx(expected, abs=1e-9)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(crystals(max_atoms=5))
def test_environments_of_any_crystal_are_those_of_crystalnn(crystal):
    assume(crystal.numbers.max() < 95)  # Of heavier elements no radius is known.
    # In needles pymatgen's tessellation breaks off, or finds no weight in any face.
    assume(20 <= crystal.angles.min() <= crystal.angles.max() <= 160)
    assume(crystal.lengths.max() <= 5 * crystal.lengths.min())
    assume(structure_failure(crystal, min_distance=0.7, min_volume=4.0 * len(crystal)) is None)
    try:
        theirs = pymatgens(crystal)
    except ValueError:
        reject()  # Of some sparse crystals pymatgen finds no cell around an atom.
    for found, expected in zip(environments(crystal), theirs, strict=True):
        ours = {len(e.vectors): e.probability for e in found}
        # Weights are rounded to three decimals, on either side where they lie between.
        for n in ours.keys() | expected.keys():
            assert ours.get(n, 0.0) == pytest.approx(expected.get(n, 0.0), abs=3e-3)


def test_a_lonely_atom_has_no_neighbours():
    crystal = Crystal(np.full(3, 30.0), np.full(3, 90.0), np.array([11]), np.zeros((1, 3)))
    assert environments(crystal) == [[]]


@pytest.mark.parametrize(
    ("length", "places", "said"),
    [(0.2, [[0, 0, 0]], "expected 0.1"), (4.0, [[0, 0, 0], [1, 0, 0]], "coincide")],
)
def test_what_has_no_neighbours_in_any_sense_is_refused(length, places, said):
    crystal = Crystal(
        np.full(3, length), np.full(3, 90.0), np.full(len(places), 11), np.array(places, float)
    )
    with pytest.raises(InputError, match=said):
        environments(crystal)


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_nearest_neighbours_are_those_of_crystalnn(name):
    crystal = EXAMPLE_CRYSTALS[name]
    atoms = range(0, len(crystal), 2)
    structure = crystal.structure
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            sorted(near["site"].specie.Z for near in CrystalNN().get_nn_info(structure, i))
            for i in atoms
        ]
    assert [sorted(x.tolist()) for x in nearest_neighbours(crystal, atoms)] == expected


def test_an_atom_far_from_all_has_no_nearest_neighbours():
    crystal = Crystal(np.full(3, 30.0), np.full(3, 90.0), np.array([11]), np.zeros((1, 3)))
    (found,) = nearest_neighbours(crystal, [0])
    assert found.tolist() == []
