"""Several potentials that judge the same crystals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.energies.judges import (
    CALIBRATION_HEADER,
    Calibration,
    agreement,
    calibrate,
    calibration_rows,
    disagreement,
    judge_crystals,
    open_judges,
)
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import RelaxationLimits
from crystext.energies.stability import Stability
from crystext.errors import SettingError
from crystext.structures.crystal import Crystal
from tests.process_tasks import emt

SALT = Crystal([3.95] * 3, [60.0] * 3, [11, 17], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))


def shifted():
    """Return CHGNet under another name, as one whose energies are its own would be."""
    return replace(load_potential_once("chgnet"), name="another")


@pytest.fixture(scope="module")
def judges():
    return open_judges(["chgnet", shifted])


def test_each_judge_relaxes_and_places_a_crystal_by_itself(judges):
    for judge in judges:
        (result,) = judge_crystals(judge, {7: SALT}, RelaxationLimits(steps=50)).values()
        assert result.judge == judge.name
        assert result.converged
        assert abs(result.above_hull) < 0.05
        assert result.stability in (Stability.METASTABLE, Stability.CANDIDATE)
    assert [judge.name for judge in judges] == ["CHGNet-0.3.0", "another"]


def test_a_crystal_without_an_energy_says_so(judges):
    close = Crystal([1.0] * 3, [60.0] * 3, [11, 17], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    (result,) = judge_crystals(judges[0], {0: close}, RelaxationLimits()).values()
    assert (result.above_hull, result.stability) == (None, Stability.NO_ENERGY)


def test_a_judge_is_calibrated_on_known_formation_energies(judges):
    (result,) = judge_crystals(judges[0], {0: SALT}, RelaxationLimits(steps=0)).values()
    energy = result.position.formation_energy
    calibration = calibrate(judges[0], [(SALT, energy - 0.02), (SALT, energy + 0.01)])
    assert calibration.n == 2
    assert calibration.mean_absolute_error == pytest.approx(0.015, abs=1e-6)
    assert calibration.bias == pytest.approx(0.005, abs=1e-6)


def test_energies_that_no_hull_compares_with_are_refused():
    with pytest.raises(SettingError, match="mp2020"):
        open_judges([emt])


def test_a_judge_that_is_given_twice_is_refused():
    with pytest.raises(SettingError, match="twice"):
        open_judges(["chgnet", "CHGNet-0.3.0"])


def test_no_judge_is_refused():
    with pytest.raises(SettingError, match="no potential"):
        open_judges([])


@given(st.lists(st.none() | st.floats(-1, 1), max_size=5), st.floats(-1, 1))
def test_agreement_counts_answers_alone(energies, limit):
    found = agreement(energies, limit)
    assert found.answers == sum(energy is not None for energy in energies)
    assert found.below == sum(energy is not None and energy < limit for energy in energies)
    assert found.is_unanimous == (
        len({energy < limit for energy in energies if energy is not None}) < 2
    )


def test_disagreement_is_of_crystals_with_two_answers_or_more():
    found = disagreement([[0.0, 0.2], [0.1, None], [0.3, 0.05, 0.1], []], 0.22)
    assert (found.n, found.median, found.large) == (2, pytest.approx(0.225), 1)
    assert disagreement([[0.1]]).median is None


def test_a_report_has_a_row_for_each_judge_calibrated_or_not(judges):
    (row, other) = calibration_rows(judges, [Calibration("another", 3, 0.02, -0.01)])
    assert len(row) == len(CALIBRATION_HEADER)
    assert row[0] == "CHGNet-0.3.0"
    assert row[-3:] == (None, None, None)
    assert other[-3:] == (3, 0.02, -0.01)
