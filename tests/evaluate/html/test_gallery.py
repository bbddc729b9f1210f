from __future__ import annotations

import json

import numpy as np
import pytest

from crystext.evaluate.html.gallery import Card, cards, choose_samples
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL


def drawings(shown: list[Card]) -> list[dict[str, list[list[float]]]]:
    return [json.loads(card.data) for card in shown]


def test_valid_unique_crystals_of_low_energy_come_first() -> None:
    given = {
        "valid": [True, True, False, True, True, None],
        "unique": [True, False, True, True, True, None],
        "e_above_hull_ev_per_atom": [0.3, 0.0, 0.0, 0.1, None, None],
    }
    crystals = [NACL] * 5 + [None]
    assert choose_samples(given, crystals) == [3, 0, 4, 1, 2]
    assert choose_samples(given, crystals, n=2) == [3, 0]


def test_without_energies_crystals_come_as_they_were_drawn() -> None:
    assert choose_samples({}, [None, NACL, NACL]) == [1, 2]


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_a_drawn_cell_is_the_crystals_cell(name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    (drawn,) = drawings(cards({}, [crystal]))
    cell = np.array(drawn["cell"])
    assert np.linalg.norm(cell, axis=1) == pytest.approx(crystal.lengths, abs=2e-3)
    products = [cell[1] @ cell[2], cell[0] @ cell[2], cell[0] @ cell[1]]
    a, b, c = crystal.lengths
    cosines = np.array(products) / [b * c, a * c, a * b]
    assert np.degrees(np.arccos(cosines)) == pytest.approx(crystal.angles, abs=0.1)


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_each_drawn_atom_is_one_of_the_crystals(name: str) -> None:
    crystal: Crystal = EXAMPLE_CRYSTALS[name]
    (drawn,) = drawings(cards({}, [crystal]))
    atoms = np.array(drawn["atoms"])
    fractions = atoms[:, :3] @ np.linalg.inv(np.array(drawn["cell"])) + 0.5
    away = fractions[:, None] - crystal.positions[None]
    nearest = np.abs(away - np.round(away)).max(axis=2)
    assert nearest.min(axis=1).max() < 2e-3
    # Every atom is drawn, and the kinds are those of the atoms that they lie on.
    assert set(nearest.argmin(axis=1)) == set(range(len(crystal)))
    kinds = sorted(set(crystal.numbers.tolist()))
    lain_on = crystal.numbers[nearest.argmin(axis=1)]
    assert [kinds[int(kind)] for kind in atoms[:, 4]] == lain_on.tolist()


def test_a_card_tells_formula_group_energy_and_text() -> None:
    (card,) = cards({"name": ["mine"], "e_above_hull_ev_per_atom": [0.0125]}, [NACL])
    assert (card.name, card.formula, card.group) == ("mine", "NaCl", "Fm-3m (225)")
    assert card.facts == ["8 atoms", "0.013 eV/atom above the hull"]
    assert "5.64 5.64 5.64" in card.text
    assert [symbol for _, symbol in card.legend] == ["Na", "Cl"]
