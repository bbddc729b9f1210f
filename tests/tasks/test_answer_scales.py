"""Numbers as answers: digits that keep small values, levels that follow the training values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.errors import InputError
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.tasks.answer_scales import AnswerScale

GAP = PROPERTIES["band_gap"]
METAL = PROPERTIES["is_metal"]
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(value=finite, digits=st.integers(1, 9))
def test_digits_keep_every_number_to_its_significant_digits(value: float, digits: int) -> None:
    scale = AnswerScale(GAP, digits=digits)
    read = scale.parse(scale.write(value))
    assert read is not None
    assert abs(read - value) <= 0.500001 * 10.0 ** (1 - digits) * abs(value) * 10


def test_a_target_of_1e_5_is_not_rounded_away() -> None:
    assert AnswerScale(GAP).write(1.234e-05) == "1.234e-05"


@given(values=st.lists(finite, min_size=2, max_size=400), count=st.integers(2, 64))
def test_levels_ascend_within_the_training_values_and_are_read_back(
    values: list[float], count: int
) -> None:
    known = np.array(values)
    if len(set(values)) < 2:
        return
    try:
        scale = AnswerScale.fit(GAP, known, count)
    except InputError:
        return
    assert list(scale.levels) == sorted(set(scale.levels))
    assert 1 <= len(scale.levels) <= max(count + 1, len(set(values)))
    assert len(set(scale.choices)) == len(scale.choices)
    for level, text in zip(scale.levels, scale.choices, strict=True):
        assert scale.parse(text) == level
    slack = 1e-3 * np.abs(known).max() + 1e-30
    assert known.min() - slack <= scale.levels[0]
    assert scale.levels[-1] <= known.max() + slack


def test_a_frequent_value_is_a_level_of_its_own_and_gets_no_jitter() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(500), rng.uniform(0.1, 6, 500)])
    scale = AnswerScale.fit(GAP, values, 100)
    assert 0.0 in scale.atoms
    assert {scale.write(0.0, rng, jitter=1.0) for _ in range(50)} == {"0"}
    assert len({scale.write(3.0, rng, jitter=1.0) for _ in range(50)}) > 10


def test_more_levels_lie_where_the_data_are_and_some_in_the_tail() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(0, 1.5, 5000)
    levels = np.array(AnswerScale.fit(GAP, values, 100).levels)
    assert (levels < np.median(values)).sum() > 20
    assert (levels > np.quantile(values, 0.99)).sum() > 5


def test_few_distinct_values_are_all_levels() -> None:
    scale = AnswerScale.fit(GAP, np.array([1.5, 2.5, 2.5, np.nan, 3.5]), 128)
    assert scale.choices == ("1.5", "2.5", "3.5")


def test_a_boolean_is_yes_or_no() -> None:
    scale = AnswerScale.fit(METAL, np.array([0.0, 1.0, 1.0]), 128)
    assert scale.choices == ("no", "yes")
    assert [scale.write(x) for x in (0.0, 1.0)] == ["no", "yes"]
    assert [scale.parse(x) for x in ("yes", "no", "maybe", "1")] == [1.0, 0.0, None, None]


@pytest.mark.parametrize("values", [[], [np.nan], [2.0, 2.0]])
def test_a_constant_target_is_refused_with_its_name(values: list[float]) -> None:
    with pytest.raises(InputError, match="band_gap cannot be learned"):
        AnswerScale.fit(GAP, np.array(values), 10)


@pytest.mark.parametrize("text", ["", "-", "1.", ".5", "01", "1e5", "1e+999", "nan", "1 eV", "１"])
def test_what_is_no_number_is_not_parsed(text: str) -> None:
    assert AnswerScale(Property("x", "x")).parse(text) is None
