"""Median, mean, intervals and their calibration follow from a distribution over values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crystext.inference.answer_distribution import (
    AnswerDistribution,
    calibrate,
    calibrated_interval,
    mixture,
)

GRID = np.linspace(-4, 4, 161)


def normals(means: np.ndarray, width: float) -> AnswerDistribution:
    weights = stats.norm.pdf(GRID, means[:, None], width)
    return AnswerDistribution(GRID, weights / weights.sum(axis=1, keepdims=True))


def test_quantiles_and_means_are_those_of_a_normal_distribution() -> None:
    found = normals(np.array([-1.0, 0.3]), 0.5)
    for level in (0.05, 0.25, 0.5, 0.9):
        expected = stats.norm.ppf(level, [-1.0, 0.3], 0.5)
        assert found.quantiles(level) == pytest.approx(expected, abs=0.005)
    assert found.means() == pytest.approx([-1.0, 0.3], abs=1e-6)
    assert found.modes() == pytest.approx([-1.0, 0.3])


def test_expected_ranks_count_what_lies_below_and_half_of_what_is_equal() -> None:
    found = AnswerDistribution(
        np.array([0.0, 0.05, 5.0]),
        np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.9, 0, 0.1], [0, 0, 1.0]]),
    )
    # In the mean 0.6 of the probability is at 0, 0.125 at 0.05 and 0.275 at 5.
    ranks = np.array([0.3, 0.6625, 0.8625])
    assert found.expected_ranks() == pytest.approx(found.probabilities @ ranks)
    assert found.expected_ranks().mean() == pytest.approx(0.5)
    # A small chance of a very high value outweighs in the mean what is likely to be higher.
    assert found.means()[2] > found.means()[1]
    assert found.expected_ranks()[2] < found.expected_ranks()[1]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_ranks_are_those_of_equal_values_in_each_row_and_of_any_ascending_scale(
    seed: int, power: float
) -> None:
    rng = np.random.default_rng(seed)
    values, chances = np.sort(rng.random(6)), rng.dirichlet(np.ones(6), 5)
    found = AnswerDistribution(values, chances).expected_ranks()
    repeated = AnswerDistribution(np.tile(values, (5, 1)), chances)
    assert repeated.expected_ranks() == pytest.approx(found)
    assert AnswerDistribution(values**power, chances).expected_ranks() == pytest.approx(found)
    certain = AnswerDistribution(values, np.eye(6))
    assert certain.expected_ranks() == pytest.approx((np.arange(6) + 0.5) / 6)


def test_a_value_with_most_of_the_probability_is_the_median_itself() -> None:
    found = AnswerDistribution(np.array([0.0, 1.0, 2.0]), np.array([[0.6, 0.3, 0.1]]))
    assert found.medians().tolist() == [0.0]
    assert found.interval(0.2).tolist() == [[0.0, 0.0]]


@settings(max_examples=60, deadline=None)
@given(weights=st.lists(st.floats(0.001, 1), min_size=3, max_size=12), level=st.floats(0.01, 0.99))
def test_the_interval_of_a_values_own_level_just_reaches_it(
    weights: list[float], level: float
) -> None:
    values = np.arange(len(weights), dtype=float)
    found = AnswerDistribution(values, np.array([weights]) / sum(weights))
    truth = found.quantiles(level)
    (own,) = found.central_levels(truth)
    low, high = found.interval(min(own + 1e-6, 1.0))[0]
    assert low - 1e-3 <= truth[0] <= high + 1e-3
    assert np.all(np.diff(found.interval(0.9)) >= np.diff(found.interval(0.5)) - 1e-9)


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_calibrated_intervals_cover_as_often_as_they_say(width: float) -> None:
    """The model believes in half, or in twice, the spread that the values have."""
    rng = np.random.default_rng(0)
    means = rng.uniform(-1, 1, 4000)
    truth = means + 0.5 * rng.standard_normal(4000)
    found = normals(means, width)
    first = AnswerDistribution(GRID, found.probabilities[:2000])
    second = AnswerDistribution(GRID, found.probabilities[2000:])
    calibration = calibrate(first, truth[:2000], (0.5, 0.9))
    for level in (0.5, 0.9):
        bounds = calibrated_interval(second, level, calibration)
        inside = (bounds[:, 0] <= truth[2000:]) & (truth[2000:] <= bounds[:, 1])
        assert inside.mean() == pytest.approx(level, abs=0.03)


def test_values_equal_to_the_least_answer_do_not_widen_the_intervals_of_others() -> None:
    """Half of the crystals lie on the hull, and the model gives each 30% for it."""
    rng = np.random.default_rng(0)
    values = np.array([0.0, 0.01, 0.02, 0.04, 0.08, 0.5])
    found = AnswerDistribution(values, np.tile([0.3, 0.25, 0.25, 0.1, 0.09, 0.01], (2000, 1)))
    truth = values[rng.choice(6, 2000, p=[0.5, 0.2, 0.2, 0.06, 0.035, 0.005])]
    bounds = calibrated_interval(found, 0.9, calibrate(found, truth, (0.9,)))
    inside = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
    assert 0.9 <= inside.mean() < 0.97
    assert bounds[0].tolist() == [0.0, pytest.approx(0.05, abs=0.03)]


def test_few_values_calibrate_nothing() -> None:
    found = normals(np.zeros(5), 0.5)
    assert calibrate(found, np.zeros(5), (0.5, 0.9)) == {"0.5": 0.5, "0.9": 0.9}


def test_an_ensemble_that_disagrees_has_wider_intervals() -> None:
    alike = mixture([normals(np.array([0.0]), 0.3)] * 2)
    apart = mixture([normals(np.array([-1.0]), 0.3), normals(np.array([1.0]), 0.3)])
    assert np.ptp(apart.interval(0.9)) > 2 * np.ptp(alike.interval(0.9))
    assert apart.means() == pytest.approx([0.0], abs=1e-6)


def test_the_mean_of_distributions_over_other_values_is_over_all_of_them() -> None:
    a = AnswerDistribution(np.array([0.0, 1.0]), np.array([[0.6, 0.4], [1.0, 0.0]]))
    b = AnswerDistribution(np.array([0.0, 2.0]), np.array([[0.8, 0.2], [0.0, 1.0]]))
    found = mixture([a, b])
    assert found.values.tolist() == [0.0, 1.0, 2.0]
    assert found.probabilities == pytest.approx(np.array([[0.7, 0.2, 0.1], [0.5, 0.0, 0.5]]))


def test_the_mean_of_numbers_in_digits_joins_equal_ones() -> None:
    """Each row has values of its own, padded with its last one."""
    a = AnswerDistribution(np.array([[1.0, 3.0, 3.0]]), np.array([[0.5, 0.5, 0.0]]))
    b = AnswerDistribution(np.array([[2.0, 3.0]]), np.array([[0.2, 0.8]]))
    found = mixture([a, b])
    held = found.probabilities[0] > 0
    assert found.values[0][held].tolist() == [1.0, 2.0, 3.0]
    assert found.probabilities[0][held] == pytest.approx([0.25, 0.1, 0.65])
    assert np.all(np.diff(found.values) >= 0)
    assert found.medians().tolist() == [3.0]
