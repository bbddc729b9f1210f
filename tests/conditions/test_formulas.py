from __future__ import annotations

import pytest

from crystext.conditions import Conditions
from crystext.conditions.formulas import formula_conditions
from crystext.errors import SettingError
from tests.example_crystals import NACL, QUARTZ, WURTZITE


def test_formula_and_size_of_each_crystal_are_requested() -> None:
    found = formula_conditions([("a", NACL), ("b", QUARTZ)], {"space_group": None}, max_atoms=20)
    assert found == (
        Conditions.from_keywords(composition="NaCl", n_atoms=8),
        Conditions.from_keywords(composition="SiO2", n_atoms=9),
    )


def test_all_crystals_that_cannot_be_requested_are_told_at_once() -> None:
    named = [("salt", NACL), ("quartz", QUARTZ), ("zinc", WURTZITE)]
    with pytest.raises(
        SettingError, match=r"2 crystals cannot(.|\n)*salt: (.|\n)*quartz: "
    ) as told:
        formula_conditions(named, {"exclude": "Na-O"}, max_atoms=20)
    assert "zinc" not in str(told.value)
    with pytest.raises(SettingError, match="quartz: 9 atoms"):
        formula_conditions(named, max_atoms=8)


def test_a_second_formula_is_refused() -> None:
    with pytest.raises(SettingError, match="besides: a composition, a number of atoms"):
        formula_conditions([("a", NACL)], {"composition": "MgO", "n_atoms": 2}, max_atoms=20)
