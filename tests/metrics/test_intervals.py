import pytest
from scipy.stats import binomtest

from crystext.metrics.intervals import Proportion


@pytest.mark.parametrize("count", [0, 1, 57, 9999, 10000])
@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_interval_is_scipys_wilson_interval(count, confidence):
    expected = binomtest(count, 10000).proportion_ci(confidence, method="wilson")
    assert Proportion(count, 10000).wilson_interval(confidence) == pytest.approx(
        tuple(expected), abs=1e-12
    )


def test_a_share_of_nothing_seen_is_still_uncertain():
    low, high = Proportion(0, 100).wilson_interval()
    assert low == 0
    assert high == pytest.approx(0.037, abs=1e-3)
