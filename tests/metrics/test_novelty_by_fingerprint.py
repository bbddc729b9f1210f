import math

import numpy as np

from crystext.metrics.coverage import set_distances
from crystext.metrics.matminer.fingerprints import Fingerprints
from crystext.metrics.novelty_by_fingerprint import is_novel


def test_it_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    made = Fingerprints(rng.normal(size=(80, 2)) / 9, rng.normal(size=(80, 3)))
    known = Fingerprints(rng.normal(size=(50, 2)) / 9, rng.normal(size=(50, 3)))

    def nearest(row, others):
        return min(math.dist(row, other) for other in others)

    expected = [
        nearest(s, known.structures) > 0.1 or nearest(c, known.compositions) > 0.6
        for s, c in zip(made.structures, made.compositions, strict=True)
    ]
    found = is_novel(set_distances(made, known), composition_distance=0.6)
    assert found.tolist() == expected
    assert 0 < sum(expected) < 80


def test_what_has_no_fingerprint_is_not_novel():
    made = Fingerprints(np.array([[np.nan, 0.0], [5.0, 0.0]]), np.zeros((2, 3)))
    known = Fingerprints(np.zeros((1, 2)), np.zeros((1, 3)))
    assert is_novel(set_distances(made, known)).tolist() == [False, True]
