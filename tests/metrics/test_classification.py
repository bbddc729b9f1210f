"""Metrics of classes: scikit-learn's values, and nan with a reason where one class is alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from crystext.metrics.classification import TITLES, classification_scores

rng = np.random.default_rng(0)
TRUTH = (rng.random(200) < 0.3).astype(float)
ANSWERS = np.clip(0.5 * TRUTH + rng.normal(0.3, 0.3, 200), 0, 1).round(1)
"""Probabilities with ties."""


def test_all_metrics_are_those_of_scikit_learn() -> None:
    found = classification_scores(TRUTH, ANSWERS, bootstrap=0)
    hard = ANSWERS >= 0.5
    expected = {
        "roc_auc": oracle.roc_auc_score(TRUTH, ANSWERS),
        "roc_auc_hard": oracle.roc_auc_score(TRUTH, hard),
        "balanced_accuracy": oracle.balanced_accuracy_score(TRUTH, hard),
        "f1": oracle.f1_score(TRUTH, hard),
        "accuracy": oracle.accuracy_score(TRUTH, hard),
        "accuracy_with_failures": oracle.accuracy_score(TRUTH, hard),
    }
    assert {name: x.value for name, x in found.items()} == pytest.approx(expected)
    assert list(found) == list(TITLES)
    assert expected["roc_auc"] > expected["roc_auc_hard"]


def test_a_failure_is_wrong_in_the_figure_that_counts_failures() -> None:
    answers = ANSWERS.copy()
    answers[:100] = np.nan
    found = classification_scores(TRUTH, answers, bootstrap=10)
    assert {(x.n_valid, x.n) for x in found.values()} == {(100, 200)}
    right = found["accuracy"].value * 100
    assert found["accuracy_with_failures"].value == pytest.approx(right / 200)


@pytest.mark.parametrize(("label", "word"), [(1.0, "yes"), (0.0, "no")])
def test_one_class_alone_is_nan_with_a_reason(label: float, word: str) -> None:
    found = classification_scores(np.full(5, label), np.linspace(0, 1, 5))
    for name in ("roc_auc", "roc_auc_hard", "balanced_accuracy"):
        assert np.isnan(found[name].value)
        assert found[name].reason == f"all labels are {word}"
    assert found["accuracy"].value > 0


def test_without_valid_answers_all_are_wrong() -> None:
    found = classification_scores(TRUTH, np.full(200, np.nan))
    assert found["roc_auc"].reason == "no answer is valid"
    assert found["accuracy_with_failures"].value == 0
    assert (found["accuracy_with_failures"].n_valid, found["roc_auc"].n) == (0, 200)


def test_intervals_hold_the_value_and_depend_on_the_seed() -> None:
    found = classification_scores(TRUTH, ANSWERS, seed=1)
    assert found == classification_scores(TRUTH, ANSWERS, seed=1)
    assert all(x.low < x.value < x.high for x in found.values())
