"""Fingerprints beside matminer's, whose values lie in tests/golden/matminer.json."""

import json
import math

import numpy as np
import pytest
from pymatgen.core.composition import Composition

from crystext.errors import InputError
from crystext.metrics.matminer.fingerprints import (
    FINGERPRINT_LABELS,
    _scale,
    composition_fingerprint,
    fingerprints,
    site_fingerprints,
    structure_fingerprints,
)
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

COINCIDING = Crystal(NACL.lengths, NACL.angles, NACL.numbers[:2], np.zeros((2, 3)))


@pytest.fixture(scope="module")
def matminer(root):
    return json.loads((root / "tests" / "golden" / "matminer.json").read_text())


def test_structures_have_the_fingerprints_of_matminer(matminer):
    expected = np.zeros((len(EXAMPLE_CRYSTALS), len(FINGERPRINT_LABELS)))
    for row, name in zip(expected, EXAMPLE_CRYSTALS, strict=True):
        for place, value in matminer["structures"][name].items():
            row[int(place)] = value
    assert structure_fingerprints(list(EXAMPLE_CRYSTALS.values())) == pytest.approx(
        expected, abs=1e-6
    )


def test_the_numbers_are_in_the_order_of_matminer(matminer):
    assert [label.replace("single bond", "sgl_bd") for label in FINGERPRINT_LABELS] == matminer[
        "labels"
    ]


def test_compositions_have_the_fingerprints_of_matminer(matminer):
    for formula, features in matminer["compositions"].items():
        raw = np.array([math.nan if x is None else x for x in features])
        numbers = [element.Z for element, n in Composition(formula).items() for _ in range(int(n))]
        expected = np.nan_to_num((raw - _scale().mean) / _scale().std, nan=0.0)
        assert composition_fingerprint(np.array(numbers)) == pytest.approx(expected, abs=1e-9)


def test_equivalent_atoms_and_larger_cells_change_nothing():
    double = NACL.structure.make_supercell([[2, 0, 0], [0, 1, 0], [0, 0, 1]], in_place=False)
    one, two = structure_fingerprints([NACL, Crystal.from_structure(double)])
    assert one == pytest.approx(two, abs=1e-9)
    (sites,) = site_fingerprints([NACL])
    assert sites == pytest.approx(np.tile(one, (8, 1)), abs=1e-9)


def test_a_crystal_without_a_fingerprint_stays_as_a_row(tmp_path):
    found = fingerprints([NACL, COINCIDING])
    assert found.is_complete.tolist() == [True, False]
    assert np.isnan(found.structures[1]).all()


def test_no_crystals_have_no_fingerprints():
    found = fingerprints([])
    assert (len(found), found.is_complete.tolist()) == (0, [])


def test_a_cache_saves_all_the_work(tmp_path, monkeypatch):
    crystals = [*EXAMPLE_CRYSTALS.values(), COINCIDING]
    first = fingerprints(crystals, cache=tmp_path / "cache.npz")
    monkeypatch.setattr("crystext.metrics.matminer.fingerprints.structure_fingerprints", None)
    again = fingerprints(crystals[::-1], cache=tmp_path / "cache.npz")
    np.testing.assert_array_equal(again.structures[::-1], first.structures)
    assert [path.name for path in tmp_path.iterdir()] == ["cache.npz"]


def test_a_file_that_is_no_cache_is_named(tmp_path):
    (tmp_path / "cache.npz").write_text("no archive")
    with pytest.raises(InputError, match=r"cache\.npz is not a cache"):
        fingerprints([NACL], cache=tmp_path / "cache.npz")


def test_the_number_of_processes_changes_nothing():
    rng = np.random.default_rng(0)
    crystals = [
        Crystal(c.lengths * rng.uniform(0.9, 1.1), c.angles, c.numbers, c.positions)
        for c in list(EXAMPLE_CRYSTALS.values()) * 11
    ]
    seen = []
    two = fingerprints(crystals, workers=2, report=lambda *x: seen.append(x))
    np.testing.assert_array_equal(two.structures, fingerprints(crystals).structures)
    assert seen[-1] == (55, 55)
