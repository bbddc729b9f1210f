import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crystext.metrics.intervals import Proportion, mean_interval

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50)


@pytest.mark.parametrize("count", [0, 1, 57, 9999, 10000])
@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_interval_is_wilsons(count, confidence):
    n, p = 10000, count / 10000
    z = stats.norm.ppf(0.5 + confidence / 2)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = Proportion(count, n).wilson_interval(confidence)
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert type(low) is type(high) is float


def test_a_share_of_nothing_seen_is_still_uncertain():
    low, high = Proportion(0, 100).wilson_interval()
    assert low == 0
    assert high == pytest.approx(0.037, abs=1e-3)


@given(values)
def test_the_interval_is_that_of_the_one_sample_t_test(found):
    result = mean_interval(found)
    assert result.value == pytest.approx(np.mean(found), abs=1e-6)
    if np.ptp(found) > 1e-3:
        expected = stats.ttest_1samp(found, 0).confidence_interval(0.95)
        assert (result.low, result.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)


def test_the_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = [mean_interval(rng.exponential(size=200).tolist(), confidence=0.9) for _ in range(1000)]
    held = sum(x.low <= 1 <= x.high for x in draws)
    assert 860 <= held <= 930


def test_values_that_are_not_finite_are_left_out_and_not_counted():
    assert mean_interval([1.0, math.nan, 3.0, math.inf])[::3] == (2.0, 2)


def test_too_few_values_have_no_interval():
    assert mean_interval([4.0])[::3] == (4.0, 1)
    assert math.isnan(mean_interval([4.0]).low)
    assert math.isnan(mean_interval([]).value)
