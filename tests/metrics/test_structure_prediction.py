import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.metrics.structure_prediction import rms_distance
from crystext.structures.augment import translate
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ, SRTIO3


@pytest.mark.parametrize("crystal", EXAMPLE_CRYSTALS.values(), ids=EXAMPLE_CRYSTALS)
def test_a_translated_crystal_has_its_own_structure(crystal):
    shifted = translate(crystal, np.random.default_rng(1))
    assert rms_distance(shifted, crystal) == pytest.approx(0, abs=1e-6)


def test_it_is_what_pymatgen_gives_for_a_disturbed_crystal():
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.02, size=QUARTZ.positions.shape)
    moved = Crystal(QUARTZ.lengths * 1.03, QUARTZ.angles, QUARTZ.numbers, QUARTZ.positions + noise)
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    expected, _ = matcher.get_rms_dist(moved.structure, QUARTZ.structure)
    assert rms_distance(moved, QUARTZ) == pytest.approx(expected)
    assert 0.01 < expected < 0.1


def test_one_moved_atom_is_its_way_over_root_n_and_the_free_length():
    """One atom of two moves by d, and the centre goes half of it along."""
    cell = Crystal(
        np.full(3, 4.0), np.full(3, 60.0), np.array([11, 17]), np.array([[0.0] * 3, [0.5] * 3])
    )
    step = 0.02
    moved = Crystal(
        cell.lengths,
        cell.angles,
        cell.numbers,
        cell.positions + np.array([[0, 0, 0], [step, 0, 0]]),
    )
    free_length = (cell.volume / 2) ** (1 / 3)
    assert rms_distance(moved, cell) == pytest.approx(step * 4.0 / 2 / free_length, rel=1e-3)


def test_other_formulas_and_other_structures_do_not_fit():
    assert rms_distance(NACL, SRTIO3) is None
    swapped = Crystal(
        NACL.lengths, NACL.angles, NACL.numbers, np.roll(NACL.positions, 2, axis=0) * 0.5
    )
    assert rms_distance(swapped, NACL, PYMATGEN_TOLERANCES) is None


def test_a_needle_of_a_cell_fits_nothing_and_costs_nothing():
    needle = Crystal(np.array([1.0, 1.0, 5000.0]), NACL.angles, NACL.numbers, NACL.positions)
    assert rms_distance(needle, NACL) is None
