"""The grammar of numbers allows exactly what answers write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.grammar.numbers import NumberGrammar
from crystext.structures.property_schema import Property
from crystext.tasks.answer_scales import AnswerScale

GRAMMAR = NumberGrammar(4)


@given(value=st.floats(-9e11, 9e11, allow_nan=False), digits=st.integers(1, 9))
def test_every_written_number_is_one_and_each_of_its_beginnings_can_begin_one(
    value: float, digits: int
) -> None:
    if 0 < abs(value) < 1e-11:
        return
    text = AnswerScale(Property("x", "x"), digits=digits).write(value)
    grammar = NumberGrammar(digits)
    assert grammar.is_number(text)
    assert all(grammar.can_begin(text[:i]) for i in range(len(text) + 1))


@given(text=st.text("0123456789.e+-", max_size=9))
def test_whatever_can_be_completed_is_a_number_that_python_reads(text: str) -> None:
    if GRAMMAR.is_number(text):
        assert GRAMMAR.can_begin(text)
        float(text)


@given(text=st.text("0123456789.e+-", max_size=8), digits=st.integers(1, 5))
def test_whatever_can_begin_a_number_leads_to_one(text: str, digits: int) -> None:
    grammar = NumberGrammar(digits)
    if grammar.can_begin(text) and not grammar.is_number(text):
        assert any(grammar.can_begin(text + character) for character in "0123456789.e+-")


@pytest.mark.parametrize("text", ["", "-", "1.", "1e", "1.5e-", "1.5e-1"])
def test_an_incomplete_number_can_begin_one_but_is_none(text: str) -> None:
    assert GRAMMAR.can_begin(text)
    assert not GRAMMAR.is_number(text)


@pytest.mark.parametrize(
    "text", ["00", "01", "--1", "1..", "1.2345", "12345", "0.00001", "e", "1.e", "1e+99", "12e+05"]
)
def test_more_digits_or_absurd_exponents_cannot_begin_one(text: str) -> None:
    assert not GRAMMAR.can_begin(text)


def test_a_property_that_is_never_negative_has_no_sign() -> None:
    assert not NumberGrammar(4, negative=False).can_begin("-")
