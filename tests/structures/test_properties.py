from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.composition import Composition
from pymatgen.symmetry.groups import SpaceGroup

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.structures.properties import (
    crystal_system,
    density,
    reduced_formula,
    space_group_symbols,
)
from tests.example_crystals import NACL, SRTIO3
from tests.strategies import crystals


@given(numbers=st.lists(st.integers(1, 94), min_size=1, max_size=30))
def test_the_reduced_formula_has_pymatgens_composition(numbers: list[int]) -> None:
    formula = reduced_formula(np.array(numbers))
    whole = Composition({z: numbers.count(z) for z in numbers})
    assert Composition(formula).fractional_composition.almost_equals(whole.fractional_composition)
    amounts = [int(x) for x in Composition(formula).as_dict().values()]
    assert math.gcd(*amounts) == 1


def test_formulas_are_written_by_electronegativity() -> None:
    assert reduced_formula(NACL.numbers) == "NaCl"
    assert reduced_formula(SRTIO3.numbers) == "SrTiO3"
    assert reduced_formula(np.array([8, 8, 8, 8, 15, 26, 3])) == "LiFePO4"


def test_space_group_symbols_are_pymatgens() -> None:
    symbols = space_group_symbols()
    assert sorted(symbols) == list(range(1, 231))
    for number, symbol in symbols.items():
        assert SpaceGroup(symbol).int_number == number


def test_crystal_systems_are_pymatgens_at_all_their_ends() -> None:
    for number in (1, 2, 3, 15, 16, 74, 75, 142, 143, 167, 168, 194, 195, 230):
        assert crystal_system(number) == SpaceGroup.from_int_number(number).crystal_system


@pytest.mark.parametrize("number", [0, -1, 231])
def test_a_number_of_no_space_group_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=f"{number}; expected 1 to 230"):
        crystal_system(number)


@settings(max_examples=50)
@given(crystal=crystals())
def test_the_density_is_pymatgens(crystal: Crystal) -> None:
    # The libraries' tables of masses differ for elements without stable isotopes.
    if max(crystal.numbers) <= 83 and not {43, 61} & set(crystal.numbers.tolist()):
        assert density(crystal) == pytest.approx(float(crystal.structure.density), rel=1e-3)
