"""What holds for every metric of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import pytest

from crystext.data.store import Dataset, read_store, write_store
from crystext.errors import UnavailableError
from crystext.metrics.base import MetricInput
from crystext.metrics.intervals import Proportion
from crystext.metrics.matminer.fingerprints import Fingerprints, fingerprints
from crystext.metrics.registry import METRICS
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from tests.example_crystals import NACL, QUARTZ, WURTZITE

each_metric = pytest.mark.parametrize("name", list(METRICS))


@dataclass(frozen=True)
class Known:
    dataset: Dataset

    @property
    def crystals(self) -> list[Crystal]:
        return [self.dataset[i].require_crystal() for i in range(len(self.dataset))]

    def fingerprints(self, workers, report=lambda done, whole: None) -> Fingerprints:
        return fingerprints(self.crystals, workers=workers, report=report)


FAILED = Record(failure=Failure("TRUNCATED"))
SAMPLES = [Record(NACL), FAILED, Record(NACL), Record(QUARTZ)]


@pytest.fixture
def known(tmp_path) -> Known:
    write_store(tmp_path / "store", {"train": [Record(NACL), Record(WURTZITE)]})
    return Known(read_store(tmp_path / "store", "train"))


@each_metric
def test_a_metric_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert metric.better in ("higher", "lower", None)


@each_metric
def test_a_metric_has_a_value_per_sample_or_one_number(name, known):
    value = METRICS[name].compute(MetricInput(SAMPLES, reference=known, training=known))
    if isinstance(value, Proportion):
        assert 0 <= value.count <= value.total
    elif isinstance(value, Real):
        assert value >= 0
    else:
        assert len(value) == len(SAMPLES)
        assert [x is None for x in value] == [False, True, False, False]


@each_metric
def test_failures_alone_have_a_result_and_no_credit(name, known):
    metric = METRICS[name]
    value = metric.compute(MetricInput([FAILED] * 3, reference=known, training=known))
    if isinstance(value, Proportion):
        assert value.count == 0
    elif value is None or isinstance(value, Real):
        assert not value or value != value
    else:
        assert list(value) == [None] * 3


@each_metric
def test_a_metric_without_its_set_says_so(name):
    metric = METRICS[name]
    if metric.requires:
        with pytest.raises(UnavailableError, match=f"needs a {metric.requires[0]} set"):
            metric.compute(MetricInput(SAMPLES))
    else:
        metric.compute(MetricInput(SAMPLES))


def test_values_are_those_of_the_functions(known):
    given = MetricInput(SAMPLES, reference=known, training=known)
    assert METRICS["unique"].compute(given) == [True, None, False, True]
    assert METRICS["novel"].compute(given) == [False, None, False, True]
    assert METRICS["structure_valid"].compute(given) == [True, None, True, True]
    assert METRICS["unique_formulas"].compute(given) == 2 / 4
    assert METRICS["recall"].compute(given) == Proportion(1, 2)
    assert METRICS["precision"].compute(given) == Proportion(2, 4)
    assert METRICS["n_elements"].compute(given) == [2, None, 2, 2]
    assert METRICS["wasserstein_n_elements"].compute(given) == 0
