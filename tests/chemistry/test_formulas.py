from __future__ import annotations

import math
import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core.composition import Composition

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import (
    check_element,
    format_formula,
    parse_amounts,
    parse_composition,
    parse_elements,
    parse_formula,
    reduce_counts,
)
from crystext.conditions import Conditions
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError
from crystext.generation.infilling.similar_elements import similar_elements
from crystext.structures.properties import reduced_formula
from crystext.text.regex import text_pattern

counts = st.integers(1, 12)
parts = st.tuples(st.sampled_from(SYMBOLS[:94]), counts).map(
    lambda part: part[0] + (str(part[1]) if part[1] > 1 else "")
)
formulas = st.recursive(
    st.lists(parts, min_size=1, max_size=4).map("".join),
    lambda inner: st.tuples(st.lists(parts, max_size=2).map("".join), inner, counts).map(
        lambda group: f"{group[0]}({group[1]}){group[2]}"
    ),
    max_leaves=3,
)


@given(formula=formulas)
def test_a_formula_has_pymatgens_counts(formula: str) -> None:
    expected = {str(element): int(n) for element, n in Composition(formula).items()}
    assert parse_formula(formula) == expected


@given(formula=formulas)
def test_reduced_formulas_are_written_as_those_of_crystals(formula: str) -> None:
    counts = reduce_counts(parse_formula(formula))
    assert math.gcd(*counts.values()) == 1
    numbers = [ATOMIC_NUMBERS[s] for s, n in counts.items() for _ in range(min(n, 2000))]
    if max(counts.values()) < 2000:
        assert format_formula(counts) == reduced_formula(np.array(numbers))


@pytest.mark.parametrize(
    "text", ["LiFePO4", "Li1Fe1(PO4)", "Li Fe P O4", "LiFe[PO4]", "LiFePO₄", "Li_1 Fe P O_4"]
)
def test_common_spellings_are_one_formula(text: str) -> None:
    assert parse_formula(text) == {"Li": 1, "Fe": 1, "P": 1, "O": 4}


@given(text=st.text(alphabet="CaOHNl()2 0.-", max_size=12) | st.text(max_size=12))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    with suppress(SettingError):
        assert min(parse_formula(text).values()) >= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lifepo4", "Did you mean 'LiFePO4'?"),
        ("NaCL", "Did you mean 'NaCl'?"),
        ("Lx2O3", "no element 'Lx'. Those with L are Li, La, Lu, Lr, Lv"),
        ("Ca(OH", "such as LiFePO4 or Ca(OH)2"),
        ("CaOH)2", "such as LiFePO4"),
        ("Li0.5CoO2", "whole numbers"),
        ("2NaCl", "not a formula"),
        ("Na0Cl", "not a formula"),
        ("Na()2", "not a formula"),
        ("", "not a formula"),
        ("cO" * 5000 + "!", "...' is not a formula"),
    ],
)
def test_what_is_no_formula_is_refused_with_a_near_one(text: str, expected: str) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_formula(text)
    assert expected in str(refusal.value)


@pytest.mark.parametrize("wanted", ["Li-Fe-O", "O Fe,Li", ["Li", "Fe", "O"], ["Li-Fe", "O", "O"]])
def test_lists_of_elements_come_by_electronegativity(wanted: str | list[str]) -> None:
    assert parse_elements(wanted) == ("Li", "Fe", "O")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("li-O", "Did you mean 'Li'?"), ("Li-O2", "no element 'O2'"), ("- ,", "no element is named")],
)
def test_what_is_no_element_is_refused(wanted: str, expected: str) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_elements(wanted)
    assert expected in str(refusal.value)


def test_what_is_no_element_is_refused_in_the_same_words_everywhere() -> None:
    said = set()
    for refuse in (
        check_element,
        parse_elements,
        similar_elements,
        lambda symbol: Constraints(only=(symbol,)),
        lambda symbol: text_pattern(elements=[symbol]),
    ):
        with pytest.raises(SettingError) as refusal:
            refuse("Lx")
        said.add(str(refusal.value))
    assert said == {
        "no element 'Lx'; expected a symbol such as Fe. Those with L are Li, La, Lu, Lr, Lv"
    }


@pytest.mark.parametrize(
    "wanted",
    ["SrTiO3", "Sr2Ti2O6", {"Sr": 1, "Ti": 1, "O": 3}, {"O": 6.0, "Ti": 2.0, "Sr": 2.0},
     Composition("SrTiO3"), Composition({"Sr2+": 1, "Ti4+": 1, "O2-": 3})],
)  # fmt: skip
def test_a_composition_is_a_formula_or_elements_and_counts(wanted: object) -> None:
    assert reduced_formula(wanted) == "SrTiO3"  # type: ignore[arg-type]
    assert Conditions.from_keywords(composition=wanted).composition == "SrTiO3"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"Sr": 0.5, "O": 1}, "the amount of Sr is 0.5; expected a whole number"),
        ({"Sr": "1"}, "the amount of Sr is '1'; expected a whole number"),
        ({"Sr": -1}, "the amount of Sr is -1; expected 1 to 100,000"),
        ({"Xx": 1}, "no element 'Xx'"),
        ({1: 1}, "no element 1"),
        ([1], "expected a formula such as SrTiO3, or elements and their counts"),
        (None, "expected a formula such as SrTiO3, or elements and their counts"),
    ],
)
def test_a_composition_that_makes_no_sense_is_refused(wanted: object, told: str) -> None:
    with pytest.raises(SettingError, match=re.escape(told)):
        parse_composition(wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("formula", ["SrTiO3", "CaF2", "LiFePO4", "H3N", "Al2O3", "MgAl2O4", "ZnS"])
def test_formulas_have_the_order_of_pymatgen(formula: str) -> None:
    assert reduced_formula(formula) == Composition(formula).reduced_formula
    assert reduced_formula({k.symbol: v for k, v in Composition(formula).items()}) == formula


@pytest.mark.parametrize(
    ("text", "meant"), [("SrTi03", "SrTiO3"), ("Mg0", "MgO"), ("Si02", "SiO2")]
)
def test_a_zero_in_place_of_oxygen_is_refused(text: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"is not a formula.*Did you mean '{meant}'"):
        parse_formula(text)


def test_zeros_within_a_count_are_kept() -> None:
    assert parse_formula("Fe10Si20") == {"Fe": 10, "Si": 20}


def test_amounts_need_not_be_whole() -> None:
    assert parse_amounts("Fe0.620C0.000953") == {"Fe": 0.62, "C": 0.000953}
    assert parse_amounts("(Fe0.9Ni.1)2O3") == pytest.approx({"Fe": 1.8, "Ni": 0.2, "O": 3})
    assert parse_amounts("Ag(W3Br7)2") == {"Ag": 1, "W": 6, "Br": 14}


@pytest.mark.parametrize(
    "text", ["", "Xx0.5", "Fe0.5(", "0.5Fe", "Fe0.0", "Fe1.2.3", "fe0.5", ")0.5"]
)
def test_amounts_of_what_is_no_formula_are_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_amounts(text)
