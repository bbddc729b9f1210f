"""Known crystals with elements exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.conditions import Conditions
from crystext.discover.exchanges import ExchangeSampler
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.sampler import ArmSampler
from crystext.discover.settings import SearchSettings
from crystext.io.write import cif
from crystext.models.layout import open_model
from crystext.structures.crystal import Crystal
from crystext.text import WYCKOFF, decode

SALTS = Conditions.from_keywords(chemical_system="Na-Cl")


def binary(length, first, second, site):
    return Crystal([length * 0.5**0.5] * 3, [60.0] * 3, [first, second], [[0, 0, 0], [site] * 3])


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> KnownCrystals:
    """Potassium chloride, sodium bromide, zinc sulfide; caesium bromide has no element of ours."""
    folder: Path = tmp_path_factory.mktemp("known")
    for name, crystal in {
        "KCl": binary(6.29, 19, 17, 0.5),
        "NaBr": binary(5.97, 11, 35, 0.5),
        "ZnS": binary(5.41, 30, 16, 0.25),
        "CsBr": Crystal([4.3] * 3, [90.0] * 3, [55, 35], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    }.items():
        (folder / f"{name}.cif").write_text(cif(crystal, name))
    return KnownCrystals([str(folder)], shipped=False)


@pytest.fixture(scope="module")
def sampler(known) -> ExchangeSampler:
    settings = SearchSettings(SALTS)
    return ExchangeSampler(ArmSampler(open_model("shipped"), settings), known)


def test_one_element_is_exchanged_before_two_are(sampler):
    found = sampler.next(SALTS, 0, 9)
    assert sorted(exchange.source for exchange in found[:2]) == ["KCl", "NaBr"]
    assert [exchange.source for exchange in found[2:]] == ["CsBr"]
    for exchange in found:
        assert {orbit.atomic_number for orbit in exchange.crystal.orbits} == {11, 17}
        assert exchange.log_probability < 0


def test_the_place_in_the_order_decides(sampler, known):
    whole = sampler.next(SALTS, 0, 3)
    again = ExchangeSampler(ArmSampler(open_model("shipped"), SearchSettings(SALTS)), known)
    found = [again.next(SALTS, place, 1)[0].source for place in (2, 0, 1)]
    assert found == [whole[place].source for place in (2, 0, 1)]
    assert again.next(SALTS, 3, 1) == []


def test_a_text_has_the_orbits_of_the_known_crystal_and_a_cell_of_the_model(sampler):
    exchanges = sampler.next(SALTS, 0, 3)
    attempts = sampler.draw(SALTS, exchanges, [7, 8, 9])
    assert [attempt.index for attempt in attempts] == [7, 8, 9]
    for exchange, attempt in zip(exchanges, attempts, strict=True):
        own = WYCKOFF.encode_wyckoff(exchange.crystal).split("\n")
        text = attempt.text.split("\n")
        assert text[0] == own[0]
        assert sorted(text[1:-1]) == sorted(own[1:-1])
        assert decode(attempt.text).crystal is not None
        assert attempt.log_probability < 0
    lengths = {
        x.source: float(a.text.split()[-1]) for x, a in zip(exchanges, attempts, strict=True)
    }
    assert 5 < lengths["KCl"] < 6.2  # nearer to sodium chloride's 5.64 than potassium chloride's


@pytest.mark.parametrize(
    ("asked", "sources"),
    [
        ({"composition": "NaCl", "space_group": 225}, {"KCl", "NaBr"}),
        ({"composition": "NaCl2"}, set()),
        ({"chemical_system": "Na-Cl", "n_atoms": "3-8"}, set()),
        ({"chemical_system": "Zn-O"}, {"ZnS"}),
        ({"elements": "Na"}, set()),
    ],
)
def test_exchanges_fulfil_what_is_asked_for(sampler, asked, sources):
    found = sampler.next(Conditions.from_keywords(**asked), 0, 9)
    assert {exchange.source for exchange in found} == sources
