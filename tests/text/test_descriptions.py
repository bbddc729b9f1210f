"""Descriptions are shortened without a loss of elements, and formulas survive any tokenizer."""

from __future__ import annotations

import pytest

from crystext.errors import SettingError
from crystext.text.descriptions import (
    DEFAULT_STRATEGY,
    TextPreparation,
    english_stopwords,
    remove_stopwords,
    replace_angles,
    replace_lengths,
    spell_formulas,
)

TEXT = (
    "SrTiO3 is a cubic perovskite. Sr2+ is bonded to twelve O2- atoms; all Sr–O bond lengths are "
    "2.76 Å. There are two shorter (1.98 Å) bonds and they range from 2.28–2.43 Å. The tilt angles "
    "range from 0–5°, and one is 90 degrees. It has 4 atoms."
)


def prepared(strategy: str, text: str = TEXT) -> str:
    preparation = TextPreparation.of(strategy, spells_formulas=False)
    return preparation.prepare("description", text)


def test_each_strategy_does_what_its_name_says() -> None:
    assert prepared("none") == TEXT
    lengths = prepared("bond_lengths_replaced_with_num")
    assert "lengths are [NUM]. There" in lengths
    assert "shorter ([NUM])" in lengths
    assert "range from [NUM]. The" in lengths
    assert "0–5°" in lengths
    angles = prepared("bond_angles_replaced_with_ang")
    assert "range from [ANG], and one is [ANG]." in angles
    assert "2.28–2.43 Å" in angles
    words = prepared("no_stopwords")
    assert words.startswith("SrTiO3 cubic perovskite. Sr2+ bonded twelve O2- atoms; Sr–O bond")
    assert words.endswith("90 degrees. 4 atoms.")
    assert prepared(DEFAULT_STRATEGY) == (
        "SrTiO3 cubic perovskite. Sr2+ bonded twelve O2- atoms; Sr–O bond lengths [NUM]. two "
        "shorter ([NUM]) bonds range [NUM]. tilt angles range [ANG], one [ANG]. 4 atoms."
    )


@pytest.mark.parametrize("sign", ["\u00c5", "\u212b", "A\u030a"])
def test_an_angstrom_in_any_encoding_is_a_length(sign: str) -> None:
    assert replace_lengths(f"2.0 {sign}, 3{sign}") == "[NUM], [NUM]"
    assert replace_lengths("12 Al atoms, 3 nm") == "12 Al atoms, 3 nm"


def test_a_degree_is_an_angle_and_a_number_alone_is_none() -> None:
    assert replace_angles("109.5°, 53-59°, 1 degree") == "[ANG], [ANG], [ANG]"
    assert replace_angles("109.5 and 3 degreess") == "109.5 and 3 degreess"


def test_elements_that_look_like_stopwords_stay() -> None:
    words = english_stopwords()
    assert {"in", "as", "i", "he", "no"} <= words
    assert not {"one", "nine", "twelve"} & words
    assert remove_stopwords("In and As in He and I, as he is", words) == "In As He I,"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Ba2NdZrNbCuO3", "Ba 2 Nd Zr Nb Cu O 3"),
        ("NaCl is NaCl.", "Na Cl is Na Cl."),
        ("Ca(OH)2 and K2[PtCl6]", "Ca ( O H ) 2 and K 2 [ Pt Cl 6 ]"),
        ("Ba0.5Sr0.5TiO3", "Ba 0.5 Sr 0.5 Ti O 3"),
        ("corners with BO6 octahedra", "corners with B O 6 octahedra"),
    ],
)
def test_formulas_are_spelled(text: str, spelled: str) -> None:
    assert spell_formulas(text) == spelled


@pytest.mark.parametrize(
    "text", ["In", "Pm-3m", "P2_1/c", "I4/mcm", "P63/mmc", "In(1)–O(2)", "This is cubic", "2.76 Å"]
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert spell_formulas(text) == text


def test_only_descriptions_are_shortened_and_smiles_are_never_spelled() -> None:
    both = TextPreparation.of(DEFAULT_STRATEGY, spells_formulas=True)
    assert both.prepare("cif", "the cell of NaCl is 2.0 Å") == "the cell of Na Cl is 2.0 Å"
    assert both.prepare("smiles", "CCO") == "CCO"
    assert both.prepare("formula", "CCO") == "C C O"


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(SettingError, match="Did you mean 'no_stopwords'"):
        TextPreparation.of("no_stopword", spells_formulas=False)
