import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.evaluate.stage_result import StageResult

numbers = st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=60)


@given(numbers, numbers)
def test_a_histogram_counts_every_finite_value(values, reference):
    found = StageResult("a")
    found.add_histogram("x", "x", values, reference)
    for histogram in found.histograms:
        assert sum(histogram.counts) == sum(map(math.isfinite, values))
        assert sum(histogram.reference_counts) == sum(map(math.isfinite, reference))
        assert len(histogram.edges) == len(histogram.counts) + 1
        assert np.all(np.diff(histogram.edges) > 0)


def test_a_share_of_nothing_has_no_value():
    found = StageResult("a")
    found.add_proportion("x", "x", 0, 0)
    assert found.metrics[0].value is None


def test_a_number_that_is_not_finite_is_none():
    found = StageResult("a")
    found.add_value("x", "x", math.nan)
    found.add_mean("y", "y", [])
    assert [figure.value for figure in found.metrics] == [None, None]
    assert found.metrics[1].total == 0


def test_the_interval_of_what_cannot_be_negative_is_cut_at_nought():
    found = StageResult("a")
    found.add_mean("steps", "steps", [0, 2, 20], nonnegative=True)
    found.add_mean("energy", "energy", [0, 2, 20])
    found.add_mean("one", "one", [3], nonnegative=True)
    steps, energy, one = found.metrics
    assert energy.low < 0
    assert (steps.low, steps.high) == (0, energy.high)
    assert one.low is None


def test_labels_of_the_reference_alone_are_kept():
    found = StageResult("a")
    found.add_label_counts("x", "x", {"Na": 2, "Cl": 3}, {"Na": 1, "Fe": 7})
    counts = found.label_counts[0]
    assert counts.labels == ["Cl", "Na", "Fe"]
    assert (counts.counts, counts.reference_counts) == ([3, 2, 0], [0, 1, 7])


def test_two_figures_of_one_name_are_a_mistake():
    found = StageResult("a")
    found.add_value("x", "x", 1.0)
    with pytest.raises(AssertionError):
        found.add_value("x", "x", 2.0)
