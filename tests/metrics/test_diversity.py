import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from crystext.metrics.diversity import mean_pairwise_distance


def test_it_is_the_mean_over_pairs_without_those_of_a_crystal_with_itself():
    rows = np.random.default_rng(0).normal(size=(700, 5))
    assert mean_pairwise_distance(rows) == pytest.approx(pdist(rows).mean())


def test_crystals_without_a_fingerprint_are_left_out():
    rows = np.array([[0.0, 0.0], [np.nan, 1.0], [3.0, 4.0]])
    assert mean_pairwise_distance(rows) == 5.0


def test_one_crystal_has_no_diversity():
    assert math.isnan(mean_pairwise_distance(np.zeros((1, 3))))
