"""Known crystals of the same formula and prototype, and the exchange that leads to one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.discover.explain.relatives import find_relatives
from crystext.discover.known_crystals import KnownCrystals
from crystext.io.write import write_crystals
from crystext.metrics.prototypes import Novelty
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, QUARTZ, SRTIO3, WURTZITE


def exchanged(crystal: Crystal, **elements: str) -> Crystal:
    """Return a crystal with other elements in place of some."""
    numbers = [ATOMIC_NUMBERS[elements.get(symbol, symbol)] for symbol in crystal.symbols]
    return replace(crystal, numbers=np.array(numbers))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> KnownCrystals:
    file = tmp_path_factory.mktemp("known") / "known.extxyz"
    write_crystals(
        [
            ("salt", NACL),
            ("potassium-bromide", exchanged(NACL, Na="K", Cl="Br")),
            ("perovskite", SRTIO3),
            ("blende", WURTZITE),
        ],
        file,
    )
    return KnownCrystals([str(file)], shipped=False)


def test_a_known_crystal_is_found_again(known: KnownCrystals) -> None:
    found = find_relatives(NACL, known)
    assert found.same_crystal is not None
    assert found.novelty is Novelty.SAME_CRYSTAL
    assert [x.formula for x in found.same_formula] == ["NaCl"]
    assert found.same_prototype is not None
    assert found.same_prototype[0].exchange == ()


def test_the_exchange_that_keeps_most_elements_comes_first(known: KnownCrystals) -> None:
    found = find_relatives(exchanged(NACL, Na="K"), known)
    assert (found.same_crystal, found.same_formula) == (None, ())
    assert found.novelty is Novelty.SUBSTITUTION
    assert found.same_prototype is not None
    first, second = found.same_prototype
    # Both need one exchange; sodium is nearer to potassium than bromine to chlorine.
    assert {first.formula, second.formula} == {"NaCl", "KBr"}
    exchanges = {x.formula: x.exchange for x in found.same_prototype}
    assert exchanges == {"NaCl": (("Na", "K"),), "KBr": (("Br", "Cl"),)}


def test_elements_of_one_kind_of_site_are_exchanged_with_the_nearest(known: KnownCrystals) -> None:
    found = find_relatives(exchanged(SRTIO3, Sr="Ba", Ti="Zr"), known)
    assert found.same_prototype is not None
    (relative,) = found.same_prototype
    assert set(relative.exchange) == {("Sr", "Ba"), ("Ti", "Zr")}
    assert found.novelty is Novelty.KNOWN_PROTOTYPE


def test_a_prototype_that_is_not_there_is_new(known: KnownCrystals) -> None:
    found = find_relatives(QUARTZ, known)
    assert (found.same_prototype, found.novelty) == ((), Novelty.NEW_PROTOTYPE)


def test_without_symmetry_a_prototype_says_nothing(known: KnownCrystals) -> None:
    crooked = Crystal(
        np.array([4.1, 5.3, 6.7]), np.array([81.0, 93.0, 104.0]), np.array([11, 17, 8]),
        np.array([[0.1, 0.2, 0.3], [0.55, 0.71, 0.83], [0.3, 0.9, 0.1]]),
    )  # fmt: skip
    found = find_relatives(crooked, known)
    assert (found.same_prototype, found.novelty) == (None, None)
