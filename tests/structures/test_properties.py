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
    PROPERTIES,
    crystal_system,
    density,
    format_properties,
    reduced_formula,
    space_group_symbols,
)
from crystext.structures.property_schema import LABELS, PROPERTY_DECIMALS, format_property_number
from tests.example_crystals import NACL, SRTIO3
from tests.strategies import crystals

ALL_LABELS = {"space_group": 225.0, "formation_energy": -2.1, "band_gap": 5.0, "e_above_hull": 0.0}


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


def test_every_property_of_a_labelled_crystal_is_written() -> None:
    written = format_properties(NACL, ALL_LABELS)
    assert tuple(written) == PROPERTIES
    assert written == {
        "formula": "NaCl",
        "elements": "Na Cl",
        "chemical_system": "Cl-Na",
        "space_group": "225",
        "space_group_symbol": "Fm-3m",
        "crystal_system": "cubic",
        "n_atoms": "8",
        "density": "2.16",
        "formation_energy": "-2.10",
        "band_gap": "5.00",
        "e_above_hull": "0.000",
    }


@given(known=st.sets(st.sampled_from(LABELS)), nan=st.booleans())
def test_a_missing_label_is_left_out_and_never_invented(known: set[str], nan: bool) -> None:
    labels = {name: ALL_LABELS[name] for name in known}
    if nan:
        labels = {**dict.fromkeys(LABELS, math.nan), **labels}
    missing = set(LABELS) - known
    if "space_group" in missing:
        missing |= {"space_group_symbol", "crystal_system"}
    assert set(format_properties(SRTIO3, labels)) == set(PROPERTIES) - missing


def test_nothing_is_written_as_minus_zero() -> None:
    written = format_properties(NACL, {"formation_energy": -0.001, "e_above_hull": -1e-9})
    assert written["formation_energy"] == "0.00"
    assert written["e_above_hull"] == "0.000"
    for name in PROPERTY_DECIMALS:
        assert not format_property_number(name, -1e-9).startswith("-")
