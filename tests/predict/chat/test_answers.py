"""Answers of chat models are read strictly: one value, or a failure with its reason."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.predict.chat.answers import parse_answer
from crystext.structures.property_schema import Property

GAP = Property("band_gap", "band gap", unit="eV")
FORMATION = Property("formation_energy_per_atom", "formation energy", unit="eV/atom")
VOLUME = Property("volume", "cell volume", unit="Å^3")
DENSITY = Property("density", "density", unit="g/cm^3")
DIRECT = Property("is_gap_direct", "direct band gap", kind="boolean")
STABLE = Property("is_stable", "stable", kind="boolean")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"band_gap": 3.2}', 3.2),
        ("{band_gap: 3.2 eV}", 3.2),
        ('{\n"band_gap": 3.2 eV\n}', 3.2),
        ("{band_gap:3.2eV}", 3.2),
        ('{"SrTiO3": {"band_gap": 2.0}}', 2.0),
        ('{"band_gap": "1.5 eV", "volume": 3}', 1.5),
        ('{"band_gap": 2.5, "unit": "eV"}', 2.5),
        ("The band gap is about 320 meV.", 0.32),
        ("It is 1.2 x 10^-3 eV, i.e. 0.0012 eV", 0.0012),
        ("1.2×10⁻³ eV", 0.0012),
        ("-10^-3 eV", -0.001),
        ("3.25 ± 0.1 eV", 3.25),
        ("SrTiO3: 3.2", 3.2),
        ("The answer is 3.2.", 3.2),
        ("As of 2023, the gap is 2 eV", 2.0),
        ("1,234.5", 1234.5),
        (".5", 0.5),
        ("−0.5", -0.5),
        ("1e-8 eV", 1e-8),
    ],
)
def test_a_single_value_is_read_in_the_unit_of_the_property(text: str, value: float) -> None:
    answer = parse_answer(text, GAP)
    assert (answer.message, answer.value) == ("", pytest.approx(value, rel=1e-12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty answer"),
        (" \n", "empty answer"),
        ("{}", "no number"),
        ("SrTiO3 is an insulator", "no number"),
        ("nan", "no number"),
        ("1.0-3.4", "ambiguous: a range"),
        ("1.0 - 3.4 eV", "ambiguous: a range"),
        ("1 to 2", "ambiguous: a range"),
        ("between 1.0 and 3.4 eV", "ambiguous: a range"),
        ("1.1 eV (PBE) or 1.8 eV (HSE)", "ambiguous: 2 values"),
        ("{a: 1, b: 2}", "ambiguous: 2 pairs, none of them band_gap"),
        ('{"band_gap": 1} or {"band_gap": 2}', "ambiguous: 2 values of band_gap"),
        ("3.2 nm", "another unit: nm, expected eV"),
        ("3.2 eV/atom", "another unit: eV/atom, expected eV"),
    ],
)
def test_whatever_is_not_one_value_is_a_failure_with_its_reason(text: str, reason: str) -> None:
    answer = parse_answer(text, GAP)
    assert math.isnan(answer.value)
    assert answer.message == reason


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("-1.2 eV", FORMATION, -1.2),
        ("-1200 meV per atom", FORMATION, -1.2),
        ("128.6 Å³", VOLUME, 128.6),
        ("128.6 A^3", VOLUME, 128.6),
        ("0.1286 nm^3", VOLUME, 128.6),
        ("5.4 g/cm³", DENSITY, 5.4),
        ("5.4 g cm-3", DENSITY, 5.4),
        ("5400 kg/m^3", DENSITY, 5.4),
    ],
)
def test_units_are_converted(text: str, target: Property, value: float) -> None:
    assert parse_answer(text, target).value == pytest.approx(value)


def test_a_value_out_of_range_is_a_failure() -> None:
    bounded = Property("density", "density", unit="g/cm^3", minimum=0)
    assert parse_answer("-1", bounded).message == "out of range: -1"


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("True", DIRECT, 1),
        ('{"is_gap_direct": "Yes"}', DIRECT, 1),
        ("{is_gap_direct: false}", DIRECT, 0),
        ("direct", DIRECT, 1),
        ("indirect", DIRECT, 0),
        ("is not a direct gap", DIRECT, 0),
        ("unlikely", DIRECT, 0),
        ("0.8", DIRECT, 0.8),
        ("unstable", STABLE, 0),
        ("not stable", STABLE, 0),
        ("{is_stable:1}", STABLE, 1),
    ],
)
def test_yes_and_no_are_whole_words(text: str, target: Property, value: float) -> None:
    assert parse_answer(text, target) == (value, "")


@pytest.mark.parametrize("text", ["direct or indirect", "dunno", "7", "0.2 or 0.3"])
def test_neither_yes_nor_no_is_a_failure(text: str) -> None:
    assert math.isnan(parse_answer(text, DIRECT).value)


@given(st.text(alphabet=st.sampled_from("0123456789.-+e×^{}:,\"' eVmnatoK/Åg³⁻²\n"), max_size=40))
def test_any_text_is_a_value_or_a_failure(text: str) -> None:
    for target in (GAP, VOLUME, DIRECT):
        answer = parse_answer(text, target)
        assert math.isfinite(answer.value) == (answer.message == "")


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_a_number_is_read_back(value: float) -> None:
    assert parse_answer(f'{{"band_gap": {value!r}}}', GAP).value == value
