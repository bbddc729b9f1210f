"""Intervals: the share that holds the label, and their width."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.metrics.interval_coverage import TITLES, interval_scores

rng = np.random.default_rng(0)
TRUTH = rng.normal(size=2000)


def test_intervals_of_the_right_distribution_hold_their_level() -> None:
    ends = np.tile([-1.6449, 1.6449], (2000, 1))
    found = interval_scores(TRUTH, ends, 0.9)
    assert found["coverage"].low < 0.9 < found["coverage"].high
    assert found["width"].value == pytest.approx(2 * 1.6449)
    assert list(found) == list(TITLES)


def test_the_interval_score_is_best_for_the_right_width() -> None:
    def value(half: float) -> float:
        ends = np.tile([-half, half], (2000, 1))
        return interval_scores(TRUTH, ends, 0.9, bootstrap=0)["interval_score"].value

    assert value(1.6449) < min(value(1.0), value(3.0))


def test_ends_belong_to_the_interval_and_missing_ones_hold_nothing() -> None:
    ends = np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 4.0], [np.nan, np.nan], [0.0, 1.0]])
    found = interval_scores(np.array([1.0, 2.0, 2.0, 1.0, np.nan]), ends, 0.5)
    assert found["coverage"].value == pytest.approx(2 / 3)
    assert found["coverage_with_failures"].value == pytest.approx(2 / 4)
    assert {(x.n_valid, x.n) for x in found.values()} == {(3, 4)}
    # The third misses by 1, at 2 / 0.5.
    assert found["interval_score"].value == pytest.approx((0 + 2 + 1 + 4) / 3)


def test_without_intervals_there_is_a_reason() -> None:
    found = interval_scores(TRUTH, np.full((2000, 2), np.nan), 0.9)
    assert found["coverage"].reason == "no answer has an interval"
    assert found["coverage_with_failures"].value == 0
    assert interval_scores(np.array([]), np.zeros((0, 2)), 0.9)["width"].reason
