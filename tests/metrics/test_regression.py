"""Metrics of numbers: scikit-learn's and SciPy's values, and failures that cannot be hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from crystext.metrics.regression import TITLES, mae_with_failures, regression_scores
from crystext.metrics.scores import score

rng = np.random.default_rng(0)
TRUTH = rng.normal(size=200).round(1)
"""With ties, which rank correlations must handle."""
ANSWERS = (TRUTH + rng.normal(scale=0.5, size=200)).round(1)


def test_all_metrics_are_those_of_scikit_learn_and_scipy() -> None:
    found = regression_scores(TRUTH, ANSWERS, bootstrap=0)
    error = oracle.mean_absolute_error(TRUTH, ANSWERS)
    expected = {
        "mae": error,
        "mae_with_failures": error,
        "rmse": oracle.root_mean_squared_error(TRUTH, ANSWERS),
        "r2": oracle.r2_score(TRUTH, ANSWERS),
        "mae_over_sigma": error / TRUTH.std(),
        "mad_over_mae": np.abs(TRUTH - TRUTH.mean()).mean() / error,
        "pearson": stats.pearsonr(TRUTH, ANSWERS).statistic,
        "spearman": stats.spearmanr(TRUTH, ANSWERS).statistic,
        "kendall": stats.kendalltau(TRUTH, ANSWERS).statistic,
    }
    assert {name: x.value for name, x in found.items()} == pytest.approx(expected)
    assert list(found) == list(TITLES)
    assert {(x.n_valid, x.n) for x in found.values()} == {(200, 200)}


def test_squared_errors_are_of_the_expected_values_and_absolute_ones_of_the_medians() -> None:
    found = regression_scores(TRUTH, ANSWERS, means=TRUTH, bootstrap=0)
    assert (found["rmse"].value, found["r2"].value) == (0, 1)
    assert found["mae"].value == pytest.approx(np.abs(TRUTH - ANSWERS).mean())


def test_failures_stand_beside_every_figure() -> None:
    answers = ANSWERS.copy()
    answers[:50] = np.nan
    found = regression_scores(TRUTH, answers, bootstrap=20)
    assert {(x.n_valid, x.n) for x in found.values()} == {(150, 200)}
    assert found["mae"].value == pytest.approx(np.abs(TRUTH - ANSWERS)[50:].mean())


def test_the_scale_is_of_all_test_labels_not_of_those_that_were_answered() -> None:
    answers = np.where(np.abs(TRUTH) < 0.3, TRUTH + 0.1, np.nan)
    found = regression_scores(TRUTH, answers, bootstrap=0)
    assert found["mae_over_sigma"].value == pytest.approx(0.1 / TRUTH.std())


def test_an_unanswered_record_has_the_error_of_the_mean_predictor() -> None:
    truth, answers = np.array([0.0, 1.0, 5.0]), np.array([0.5, 1.0, np.nan])
    found = mae_with_failures(truth, answers, train_mean=2.0)
    assert found.value == pytest.approx((0.5 + 0 + 3) / 3)
    assert (found.n_valid, found.n) == (2, 3)
    nothing = mae_with_failures(truth, np.full(3, np.nan), train_mean=2.0)
    assert nothing.value == pytest.approx((2 + 1 + 3) / 3)


@given(st.lists(st.booleans(), min_size=200, max_size=200))
def test_dropping_good_answers_never_improves_the_figure_with_failures(dropped: list[bool]) -> None:
    better_than_mean = np.abs(ANSWERS - TRUTH) <= np.abs(TRUTH - TRUTH.mean())
    answers = np.where(np.array(dropped) & better_than_mean, np.nan, ANSWERS)
    whole = mae_with_failures(TRUTH, ANSWERS, bootstrap=0)
    assert mae_with_failures(TRUTH, answers, bootstrap=0).value >= whole.value - 1e-12


def test_records_without_a_label_do_not_count() -> None:
    truth = np.append(TRUTH, [np.nan, np.nan])
    found = regression_scores(truth, np.append(ANSWERS, [0, np.nan]), bootstrap=0)
    assert found == regression_scores(TRUTH, ANSWERS, bootstrap=0)


@pytest.mark.parametrize(
    ("truth", "answers", "reason"),
    [
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], "all labels are equal"),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], "all answers are equal"),
        ([1.0, 2.0, 3.0], [1.0, np.nan, np.nan], "fewer than two answers are valid"),
        ([1.0, 2.0], [np.nan, np.nan], "no answer is valid"),
        ([np.nan], [1.0], "no test record has a label"),
        ([], [], "no test record has a label"),
    ],
)
def test_what_is_undefined_is_nan_with_a_reason(
    truth: list[float], answers: list[float], reason: str
) -> None:
    found = regression_scores(np.array(truth), np.array(answers))
    assert np.isnan(found["spearman"].value)
    assert found["spearman"].reason == reason
    assert all(np.isnan(x.value) == bool(x.reason) for x in found.values())


def test_intervals_depend_on_the_seed_alone_and_hold_the_value() -> None:
    found = regression_scores(TRUTH, ANSWERS, seed=1)
    assert found == regression_scores(TRUTH, ANSWERS, seed=1)
    assert found["mae"].low != regression_scores(TRUTH, ANSWERS, seed=2)["mae"].low
    for x in found.values():
        assert x.low < x.value < x.high


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_central_limit() -> None:
    found = score(np.zeros(200), TRUTH, lambda truth, answers: float(answers.mean()))
    half = 1.96 * TRUTH.std() / np.sqrt(200)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
