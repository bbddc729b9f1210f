"""Distances by a product of matrices, beside SciPy's, pair by pair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from crystext.metrics.pairwise_distances import mean_distance, nearest_distances


@given(st.integers(1, 700), st.integers(1, 30), st.integers(0, 9), st.floats(0, 1e4))
def test_the_nearest_are_those_of_all_pairs(n, m, seed, away):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 4)) + away, rng.normal(size=(m, 4)) + away
    found, distances = nearest_distances(a, b), cdist(a, b)
    assert found.of_rows == pytest.approx(distances.min(axis=1), abs=1e-6)
    assert found.of_columns == pytest.approx(distances.min(axis=0), abs=1e-6)


def test_what_is_the_same_is_at_no_distance():
    rows = 1e3 + np.random.default_rng(0).normal(size=(50, 132))
    assert not nearest_distances(rows, rows).of_rows.any()


def test_the_mean_is_that_of_all_pairs():
    rows = 50 + np.random.default_rng(0).normal(size=(900, 7))
    assert mean_distance(rows) == pytest.approx(pdist(rows).mean(), rel=1e-9)
    assert math.isnan(mean_distance(rows[:1]))


def test_nothing_is_near_nothing():
    found = nearest_distances(np.empty((0, 3)), np.ones((2, 3)))
    assert (len(found.of_rows), found.of_columns.tolist()) == (0, [math.inf, math.inf])
