"""The ratio of the sources holds in every window, whatever the lengths of the documents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.corpus.scheduler import DeficitScheduler

WINDOW, TOLERANCE = 10_000, 0.01


def mix(weights: list[float], lengths: list[list[int]], tokens: int) -> np.ndarray:
    """Return the source of each token of a mixture, given the lengths of documents, which recur."""
    scheduler = DeficitScheduler(dict(enumerate(weights)), WINDOW, TOLERANCE)
    limits = [scheduler.max_part_tokens(i) for i in range(len(weights))]
    rest, place = [0] * len(weights), [0] * len(weights)
    sources: list[np.ndarray] = []
    while scheduler.tokens < tokens:
        i = scheduler.next_source()
        if not rest[i]:
            rest[i] = lengths[i][place[i] % len(lengths[i])]
            place[i] += 1
        limit = limits[i]
        part = rest[i] if limit is None else min(rest[i], limit)
        rest[i] -= part
        sources.append(np.full(part, i, np.int8))
        scheduler.add(i, part)
    row = np.concatenate(sources)
    largest = max(deviation(row, i, scheduler.proportion(i)) for i in range(len(weights)))
    # What the scheduler says of itself bounds what is so.
    assert largest <= scheduler.largest_deviation() + 1e-9
    return row


def deviation(row: np.ndarray, source: int, proportion: float, window: int = WINDOW) -> float:
    """Return by how much the proportion of a source is off at most, in any window."""
    counts = np.concatenate([[0], np.cumsum(row == source)])
    in_windows = counts[window:] - counts[:-window]
    return float(np.abs(in_windows / window - proportion).max())


mixtures = st.integers(2, 5).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0.001, 1), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(1, 30_000), min_size=1, max_size=6), min_size=n, max_size=n),
    )
)


@settings(max_examples=20, deadline=None)
@given(mixture=mixtures)
def test_the_ratio_holds_in_every_window(mixture: tuple[list[float], list[list[int]]]) -> None:
    weights, lengths = mixture
    row = mix(weights, lengths, 3 * WINDOW)
    for i, weight in enumerate(weights):
        assert deviation(row, i, weight / sum(weights)) <= TOLERANCE


def test_documents_of_the_main_source_stay_whole() -> None:
    scheduler = DeficitScheduler({0: 0.944, 1: 0.025, 2: 0.03}, 1_000_000, 0.01)
    limits = [scheduler.max_part_tokens(i) for i in range(3)]
    assert limits[0] is not None
    assert limits[0] > 70_000
    assert limits[1] is not None
    assert 4_000 < limits[1] < 4_200


def test_a_single_source_is_never_divided() -> None:
    scheduler = DeficitScheduler({0: 1.0}, WINDOW, TOLERANCE)
    assert scheduler.max_part_tokens(0) is None


def test_equal_deficits_go_to_the_first_source() -> None:
    scheduler = DeficitScheduler({0: 0.5, 1: 0.5}, WINDOW, TOLERANCE)
    order = []
    for _ in range(4):
        order.append(scheduler.next_source())
        scheduler.add(order[-1], 10)
    assert order == [0, 1, 0, 1]


def test_fixed_widths_would_drift_when_a_source_runs_dry() -> None:
    """The interleaving that this replaces: documents in turn, by the ratio of their number."""
    rng = np.random.default_rng(0)
    lengths = {0: rng.integers(100, 200, 300), 1: rng.integers(2000, 4000, 300)}
    row = np.concatenate([np.full(n, i) for pair in zip(*lengths.values(), strict=True)
                          for i, n in enumerate(pair)])  # fmt: skip
    assert deviation(row, 0, 0.5) > 0.4
    assert (
        deviation(mix([0.5, 0.5], [x.tolist() for x in lengths.values()], len(row)), 0, 0.5) < 0.01
    )


@pytest.mark.parametrize("weight", [1e-6, 0.999999])
def test_tiny_weights_are_kept(weight: float) -> None:
    scheduler = DeficitScheduler({0: weight, 1: 1 - weight}, WINDOW, TOLERANCE)
    assert scheduler.proportion(0) == pytest.approx(weight, abs=1e-8)
