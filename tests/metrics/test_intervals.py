import pytest
from scipy.stats import binomtest

from crystext.metrics.intervals import Share


@pytest.mark.parametrize("count", [0, 1, 57, 9999, 10000])
@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_interval_is_scipys_wilson_interval(count, confidence):
    expected = binomtest(count, 10000).proportion_ci(confidence, method="wilson")
    assert Share(count, 10000).interval(confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_a_share_of_nothing_seen_is_still_uncertain():
    low, high = Share(0, 100).interval()
    assert low == 0
    assert high == pytest.approx(0.037, abs=1e-3)
