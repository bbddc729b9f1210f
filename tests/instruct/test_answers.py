"""Answers of models are read as people would, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.instruct.answers import (
    Unreadable,
    read_crystal,
    read_element,
    read_elements,
    read_formula,
    read_numbers,
    read_space_group,
    read_yes_or_no,
)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("4", 4), ("There are 4 Na atoms.", 4), ("**4**", 4), ("-1.5e-3", -0.0015), (".5", 0.5),
        ("V = 251.63 Å^3", 251.63), ("251.63 Å3", 251.63), ("1,234.5", 1234.5), ("$4$", 4),
        ("a b c = 5, 6, 7\nso the volume is\n210", 210), ("Fe2O3 has 3", 3), ("4 and again 4", 4),
    ],
)  # fmt: skip
def test_one_number_is_read_from_a_sentence(answer: str, number: float) -> None:
    assert read_numbers(answer, 1) == (number,)


@pytest.mark.parametrize("answer", ["", "four", "4 or 5", "Fe2O3", "4\n5 or 6", "1.2.3"])
def test_two_numbers_or_none_are_no_answer(answer: str) -> None:
    assert isinstance(read_numbers(answer, 1), Unreadable)


def test_three_numbers_may_have_names_and_units() -> None:
    expected = (5.6, 5.7, 5.8)
    for answer in ("5.6, 5.7, 5.8", "a = 5.6 Å, b = 5.7 Å, c = 5.8 Å", "2 steps:\n5.6 5.7 5.8"):
        assert read_numbers(answer, 3) == expected
    assert isinstance(read_numbers("5.6, 5.7", 3), Unreadable)


@pytest.mark.parametrize(
    ("answer", "element"),
    [("Fe", "Fe"), ("Iron.", "Fe"), ("The element is Fe.", "Fe"), ("Answer: `O`", "O"),
     ("aluminium", "Al"), ("(Na)", "Na"), ("It must be\nNitrogen", "N")],
)  # fmt: skip
def test_an_element_is_read_by_symbol_or_name(answer: str, element: str) -> None:
    assert read_element(answer) == element


@pytest.mark.parametrize("answer", ["FE", "fe", "Fe2O3", "unknown", "", "Fe or Co maybe"])
def test_what_is_no_element_is_no_answer(answer: str) -> None:
    assert isinstance(read_element(answer), Unreadable)


def test_a_ranking_keeps_its_order() -> None:
    assert read_elements("Fe > Co > Ni") == ["Fe", "Co", "Ni"]
    assert read_elements("1. Iron\n2. Fe\n3) Co") == ["Fe", "Co"]
    assert read_elements("It is Fe.") == ["Fe"]


def test_formulas_are_reduced() -> None:
    for answer in ("Fe2O3", "Fe4O6", "The formula is Fe$_{2}$O$_{3}$.", "O₃Fe₂", "Formula: Fe2 O3"):
        assert read_formula(answer) == {"Fe": 2, "O": 3}
    assert isinstance(read_formula("iron oxide"), Unreadable)


def test_yes_and_no_are_read_by_the_first_or_only_word() -> None:
    assert read_yes_or_no("Yes, since no operation forbids it") is True
    assert read_yes_or_no("The answer: NO.") is False
    for answer in ("", "maybe", "It is not clear: yes or no"):
        assert isinstance(read_yes_or_no(answer), Unreadable)


def test_space_groups_are_read_in_any_spelling() -> None:
    for answer in ("Pnma", "P n m a", "62", "Space group: Pnma (62)".split(" (")[0], "Pbnm"):
        assert read_space_group(answer) == 62
    for answer in ("Please tell me more about it", "999", "Xyz", ""):
        assert isinstance(read_space_group(answer), Unreadable)


CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cs Cs1 0 0 0
Cl Cl1 0.5 0.5 0.5
"""


@pytest.mark.parametrize("fmt", ["cif", "plain"])
@pytest.mark.parametrize(
    "answer",
    [
        CIF,
        f"```cif\n{CIF}```",
        f"This is one:\n\n{CIF}",
        "4 4 4\n90 90 90\nCs\n0 0 0\nCl\n0.5 0.5 0.5",
    ],
)
def test_a_crystal_is_read_in_the_requested_format_or_a_recognized_one(
    answer: str, fmt: str
) -> None:
    if fmt == "cif" and "data_" not in answer:
        return  # A CIF was requested, and a text is no CIF.
    crystal = read_crystal(answer, fmt)
    assert not isinstance(crystal, Unreadable)
    assert crystal.symbols == ["Cs", "Cl"]


@given(st.text(max_size=80))
def test_no_text_breaks_a_reader(text: str) -> None:
    for reader in (read_element, read_elements, read_formula, read_yes_or_no, read_space_group):
        reader(text)
    read_numbers(text, 1)
    read_numbers(text, 6, lines=2)
    read_crystal(text, "plain")
    read_crystal(text, "cif")
