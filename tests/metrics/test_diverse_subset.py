import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from crystext.metrics.diverse_subset import diverse_subset
from crystext.metrics.matminer.fingerprints import Fingerprints


def some(seed: int, n: int) -> Fingerprints:
    rng = np.random.default_rng(seed)
    return Fingerprints(rng.normal(size=(n, 3)), rng.normal(size=(n, 4)))


@given(st.integers(0, 99), st.integers(1, 12))
def test_none_is_left_out_that_is_farther_from_all_chosen_ones_than_they_are_apart(seed, n):
    crystals = some(seed, 30)
    chosen = diverse_subset(crystals, n)
    assert len(set(chosen)) == n
    rows = np.hstack([crystals.structures, crystals.compositions])
    apart = cdist(rows[chosen], rows[chosen])[np.triu_indices(n, 1)]
    left = np.setdiff1d(np.arange(30), chosen)
    assert cdist(rows[left], rows[chosen]).min(axis=1).max() <= apart.min(initial=np.inf)


def test_a_shorter_choice_is_the_beginning_of_a_longer_one():
    assert diverse_subset(some(0, 50), 20)[:7] == diverse_subset(some(0, 50), 7)


def test_repetitions_come_last_but_one_and_what_has_no_fingerprint_last():
    structures = np.array([[0.0], [np.nan], [0.0], [5.0], [1.0]])
    crystals = Fingerprints(structures, np.zeros((5, 1)))
    assert diverse_subset(crystals, 9) == [0, 3, 4, 2, 1]
    assert diverse_subset(crystals, 4) == [0, 3, 4, 2]
