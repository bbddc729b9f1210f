from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.evaluate.html.charts import bar_chart, histogram_chart
from crystext.evaluate.report import Histogram

SHARES = st.floats(0, 1)


@given(SHARES, SHARES)
def test_a_bar_is_as_long_as_its_share(share: float, inner: float) -> None:
    drawn = bar_chart(share, inner=inner, interval=(0.2, 0.4), reference=0.5)
    widths = {part.kind: part.width for part in drawn.rectangles}
    assert widths["drawn"] == pytest.approx(100 * share, rel=1e-4)
    assert widths["inner"] == pytest.approx(100 * inner, rel=1e-4)
    assert widths["whisker"] == pytest.approx(20)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_bins_are_as_high_as_their_share_and_as_wide_as_their_edges(counts: list[int]) -> None:
    edges = [0.5 * i for i in range(len(counts) + 1)]
    found = Histogram(stage="s", name="n", title="t", unit="", edges=edges, counts=counts)
    heights = [part.height for part in histogram_chart(found).rectangles]
    filled = [count for count in counts if count]
    assert len(heights) == len(filled)
    for height, count in zip(heights, filled, strict=True):
        assert height / max(heights) == pytest.approx(count / max(filled), rel=1e-3)


def test_a_histogram_without_any_value_is_drawn_empty() -> None:
    found = Histogram(
        stage="s", name="n", title="t", unit="", edges=[0, 1, 2], counts=[0, 0],
        reference_counts=[0, 0],
    )  # fmt: skip
    assert not histogram_chart(found).rectangles


def test_the_numbers_of_a_histogram_stand_behind_it() -> None:
    found = Histogram(
        stage="s", name="n", title="density", unit="g/cm³", edges=[0, 2, 4], counts=[1, 3],
        reference_counts=[1, 1],
    )  # fmt: skip
    assert histogram_chart(found).rows == [
        ["0", "2", "1", "25.0%", "1", "50.0%"],
        ["2", "4", "3", "75.0%", "1", "50.0%"],
    ]
