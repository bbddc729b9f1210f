from __future__ import annotations

import pytest
from pymatgen.core.periodic_table import Element

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import SettingError
from crystext.generation.infilling.similar_elements import similar_elements

ALKALI = ["Li", "Na", "K", "Rb", "Cs"]
ALKALINE_EARTH = ["Be", "Mg", "Ca", "Sr", "Ba"]
HALOGENS = ["F", "Cl", "Br", "I"]
LANTHANOIDS = [Element.from_Z(z).symbol for z in range(57, 72)]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_element_has_similar_ones(symbol: str) -> None:
    found = similar_elements(symbol)
    assert len(found) >= 3
    assert len(set(found)) == len(found)
    assert symbol not in found
    assert set(found) <= set(SYMBOLS)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_noble_gases_stand_for_noble_gases_alone(symbol: str) -> None:
    noble = symbol in ("He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og")
    for other in similar_elements(symbol, count=118):
        assert Element(other).is_noble_gas == noble


@pytest.mark.parametrize("symbol", SYMBOLS[:103])
def test_no_metal_stands_for_a_non_metal_nor_the_other_way(symbol: str) -> None:
    own = Element(symbol)
    for other in map(Element, similar_elements(symbol, count=118)):
        if other.Z <= 103 and not (own.is_metalloid or other.is_metalloid):
            assert own.is_metal == other.is_metal


@pytest.mark.parametrize(
    ("symbol", "family"),
    [
        *((symbol, ALKALI) for symbol in ALKALI),
        *((symbol, ALKALINE_EARTH) for symbol in ALKALINE_EARTH),
        *((symbol, HALOGENS) for symbol in HALOGENS),
    ],
)
def test_its_own_family_comes_first(symbol: str, family: list[str]) -> None:
    others = len(family) - 1
    assert set(similar_elements(symbol)[:others]) == set(family) - {symbol}


@pytest.mark.parametrize("symbol", LANTHANOIDS)
def test_a_rare_earth_has_rare_earths(symbol: str) -> None:
    assert set(similar_elements(symbol)) <= {*LANTHANOIDS, "Y", "Sc"}


@pytest.mark.parametrize(
    ("symbol", "like"),
    [("O", "S"), ("F", "Cl"), ("Na", "K"), ("C", "Si"), ("Fe", "Co"), ("Ti", "Zr"), ("La", "Ce"),
     ("Sr", "Ca"), ("Sr", "Ba"), ("Au", "Ag"), ("U", "Th"), ("H", "F"), ("Al", "Ga"), ("Zn", "Cd")],
)  # fmt: skip
def test_textbook_neighbours_are_among_the_similar_ones(symbol: str, like: str) -> None:
    assert like in similar_elements(symbol)
    assert symbol in similar_elements(like, count=20)


@pytest.mark.parametrize("symbol", SYMBOLS[:83])
def test_a_short_lived_element_is_proposed_for_nothing_that_lasts(symbol: str) -> None:
    short_lived = {*SYMBOLS[83:88], *SYMBOLS[94:]}
    assert not set(similar_elements(symbol, count=118)) & short_lived


def test_what_is_no_element_is_refused() -> None:
    with pytest.raises(SettingError, match="Did you mean 'Fe'"):
        similar_elements("fe")
