"""Answers are read as LLM4Mat-Bench reads them, its quirks included."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.benchmark.compat import cut_answer, parse_boolean, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{band_gap: 3.2 eV}", 3.2),
        ("1.0-3.4", 1.0),  # one range is not averaged
        ("1.0-3.4 or 2.0-4.0", 2.2),  # the first of two is
        ("2 x 10^3", 2000.0),
        ("2 × 10^-3", 0.002),
        ("-2 x 10^3", 2000.0),  # the sign is lost
        ("1e-8", 1e-8),
        ("about 10^2", 100.0),
        ("{KPrMnNbO6: 3.2}", 3.2),  # the word with the symbol goes
        ("-0.5", -0.5),
        ("99999", 99999.0),
    ],
)
def test_a_number_is_read_as_the_benchmark_reads_it(text: str, value: float) -> None:
    assert parse_number(text).value == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "no idea", "100000", "2 x 10^6", "1e5", "10^7", "10^x"])
def test_large_and_missing_numbers_are_invalid(text: str) -> None:
    assert math.isnan(parse_number(text).value)


def test_unlikely_counts_as_likely() -> None:
    assert parse_boolean("it is unlikely", ["likely"], ["false"]).value == 1.0
    assert parse_boolean("False", ["likely"], ["False"]).value == 0.0
    assert math.isnan(parse_boolean("maybe", ["likely"], ["False"]).value)


@pytest.mark.parametrize(
    ("text", "cut"), [("so {a: 1} and {b: 2}", "{a: 1}"), ("3.2", ""), ("} {", ""), ("{a", "")]
)
def test_an_answer_is_what_stands_in_the_first_braces(text: str, cut: str) -> None:
    assert cut_answer(text) == cut


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_failure(text: str) -> None:
    answer = parse_number(text)
    assert math.isfinite(answer.value) == (answer.message == "")
