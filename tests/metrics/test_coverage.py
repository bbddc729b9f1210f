"""Coverage beside a computation with plain loops."""

import math

import numpy as np
import pytest

from crystext.metrics.coverage import COVERAGE_CUTOFFS, CoverageCutoffs, coverage
from crystext.metrics.matminer.fingerprints import Fingerprints


def some(rng, count):
    return Fingerprints(rng.normal(size=(count, 3)), rng.normal(size=(count, 5)))


def by_hand(generated, reference, limits):
    def nearest(rows, others):
        return [min(math.dist(row, other) for other in others) for row in rows]

    def covered(a, b):
        return sum(
            s <= limits.structure and c <= limits.composition
            for s, c in zip(
                nearest(a.structures, b.structures),
                nearest(a.compositions, b.compositions),
                strict=True,
            )
        )

    means = [
        np.mean(nearest(reference.structures, generated.structures)),
        np.mean(nearest(generated.structures, reference.structures)),
        np.mean(nearest(reference.compositions, generated.compositions)),
        np.mean(nearest(generated.compositions, reference.compositions)),
    ]
    return covered(reference, generated), covered(generated, reference), means


def test_coverage_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    generated, reference = some(rng, 300), some(rng, 70)
    limits = CoverageCutoffs(0.5, 1.3)
    recalled, precise, means = by_hand(generated, reference, limits)
    found = coverage(generated, reference, limits, n_samples=300)
    assert (found.recall.count, found.recall.total) == (recalled, 70)
    assert (found.precision_of_all.count, found.precision_of_all.total) == (precise, 300)
    assert 0 < recalled < 70
    assert 0 < precise < 300
    assert [
        found.amsd_recall,
        found.amsd_precision,
        found.amcd_recall,
        found.amcd_precision,
    ] == pytest.approx(means)


def test_a_failed_attempt_stays_in_the_denominator():
    rng = np.random.default_rng(0)
    generated, reference = some(rng, 20), some(rng, 30)
    generated.structures[:5] = np.nan
    reference.structures[:3] = np.nan
    found = coverage(generated, reference, CoverageCutoffs(9, 9), n_samples=40)
    assert found.precision_of_all.total == 40
    assert found.precision_of_fingerprinted.total == 15
    assert found.precision_of_all.count == found.precision_of_fingerprinted.count == 15
    assert (found.recall.count, found.recall.total) == (27, 30)


def test_a_set_covers_itself_wholly():
    crystals = some(np.random.default_rng(0), 10)
    found = coverage(crystals, crystals, COVERAGE_CUTOFFS["perov5"], n_samples=10)
    assert found.recall.value == found.precision_of_all.value == 1
    assert found.amsd_recall == found.amcd_precision == 0


def test_nothing_covers_nothing():
    nothing = Fingerprints(np.empty((0, 3)), np.empty((0, 5)))
    found = coverage(
        nothing, some(np.random.default_rng(0), 4), COVERAGE_CUTOFFS["mp20"], n_samples=7
    )
    assert (found.recall.count, found.precision_of_all.count) == (0, 0)
    assert found.precision_of_fingerprinted is None
    assert math.isnan(found.amsd_recall)
