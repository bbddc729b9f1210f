from __future__ import annotations

import pytest

from crystext.elements import SYMBOLS
from crystext.errors import SettingError
from crystext.infilling.similar import similar_elements


@pytest.mark.parametrize("symbol", SYMBOLS[:100])
def test_every_element_up_to_fermium_has_similar_ones(symbol: str) -> None:
    found = similar_elements(symbol)
    assert len(found) >= 4
    assert len(set(found)) == len(found)
    assert symbol not in found
    assert set(found) <= set(SYMBOLS)


@pytest.mark.parametrize(
    ("symbol", "like"),
    [("O", "S"), ("F", "Cl"), ("Na", "K"), ("C", "Si"), ("Fe", "Co"), ("Ti", "Zr"), ("La", "Ce")],
)
def test_textbook_neighbours_are_among_the_similar_ones(symbol: str, like: str) -> None:
    assert like in similar_elements(symbol)
    assert symbol in similar_elements(like, count=20)


def test_what_has_no_place_on_the_scale_is_refused() -> None:
    with pytest.raises(SettingError, match="name candidates"):
        similar_elements("Og")
    with pytest.raises(SettingError, match="Did you mean 'Fe'"):
        similar_elements("fe")
