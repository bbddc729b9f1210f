import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.metrics.space_group_distribution import (
    NO_SPACE_GROUP,
    space_group_counts,
    total_variation,
)

counts = st.dictionaries(st.integers(0, 230), st.integers(1, 50), min_size=1)


@given(counts, counts)
def test_it_is_the_largest_difference_that_any_set_of_groups_has(a, b):
    """The other definition of total variation: the supremum over events."""
    p = {g: a.get(g, 0) / sum(a.values()) for g in {*a, *b}}
    q = {g: b.get(g, 0) / sum(b.values()) for g in {*a, *b}}
    largest = sum(p[g] - q[g] for g in p if p[g] > q[g])
    assert total_variation(a, b) == pytest.approx(largest)
    assert total_variation(a, b) == pytest.approx(total_variation(b, a))


def test_the_same_shares_are_no_distance_and_disjoint_ones_the_largest():
    assert total_variation({225: 3, 1: 1}, {225: 6, 1: 2}) == 0
    assert total_variation({225: 3}, {1: 9}) == 1


def test_nothing_has_no_distance():
    assert math.isnan(total_variation({}, {1: 1}))


def test_a_crystal_without_a_group_is_counted():
    assert space_group_counts([225, None, 1, None]) == {225: 1, 1: 1, NO_SPACE_GROUP: 2}
