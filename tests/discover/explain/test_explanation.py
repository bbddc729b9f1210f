"""An explanation says in words and in numbers what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crystext.discover.explain.build import closest_contacts
from crystext.discover.explain.explanation import Explanation
from crystext.lm import CrystalLM
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, SRTIO3


@pytest.fixture(scope="module")
def lm(tiny_model: Path) -> CrystalLM:
    return CrystalLM.open(tiny_model)


@pytest.fixture(scope="module")
def explanation(lm: CrystalLM) -> Explanation:
    return lm.explain(SRTIO3, shipped_known=False)


def test_sites_have_the_likelihood_that_a_score_has(
    explanation: Explanation, lm: CrystalLM
) -> None:
    score = lm.score(SRTIO3)
    assert explanation.likelihood is not None
    assert explanation.likelihood.total == pytest.approx(score.total)
    told = [site.log_probability for site in explanation.sites]
    assert told == pytest.approx([site.total for site in score.sites])
    surprises = [site.surprise for site in explanation.sites]
    assert surprises == pytest.approx(score.surprises)
    assert [x.site for x in explanation.surprising_sites] == [
        i for i, value in enumerate(score.surprises) if value > 3
    ]


def test_sites_have_labels_states_and_neighbours(explanation: Explanation) -> None:
    rows = {site.label: site for site in explanation.sites}
    assert list(rows) == ["O1", "O2", "O3", "Ti1", "Sr1"]
    assert (rows["Ti1"].oxidation_state, rows["Ti1"].neighbours) == (4, "O6")


def test_the_record_is_plain_json(explanation: Explanation) -> None:
    record = json.loads(json.dumps(explanation.record()))
    assert record["formula"] == "SrTiO3"
    assert [site["symbol"] for site in record["sites"]] == SRTIO3.symbols
    assert record["novelty"] == "new_prototype"
    assert record["judges"] == []


def test_the_text_has_a_line_for_each_site_and_each_part(explanation: Explanation) -> None:
    lines = str(explanation).splitlines()
    assert lines[0].startswith("SrTiO3, 5 atoms, Pm-3m (221)")
    for site in explanation.sites:
        assert any(line.startswith(f"{site.label} ") for line in lines)
    for part in ("likelihood: ", "composition: ", "charges: ", "contacts: ", "known: "):
        assert sum(line.startswith(part) for line in lines) == 1, part


def test_short_contacts_are_named_and_others_are_not() -> None:
    (closest,) = closest_contacts(SRTIO3)
    assert not closest.is_short
    assert set(closest.symbols) == {"Ti", "O"}
    assert closest.distance == pytest.approx(3.905 / 2)
    positions = NACL.positions.copy()
    positions[1] = positions[0] + [0.1, 0, 0]
    found = closest_contacts(Crystal(NACL.lengths, NACL.angles, NACL.numbers, positions))
    assert [(x.sites, x.is_short) for x in found] == [((0, 1), True)]
    assert found[0].distance == pytest.approx(0.564)


def test_an_atom_may_be_too_close_to_its_own_image() -> None:
    thin = Crystal(np.array([1.5, 6.0, 6.0]), np.full(3, 90.0), np.array([11]), np.zeros((1, 3)))
    (found,) = closest_contacts(thin)
    assert (found.sites, found.is_short) == ((0, 0), True)
    assert found.distance == pytest.approx(1.5)


def test_a_crystal_that_the_model_cannot_read_is_explained_without_likelihood(
    lm: CrystalLM,
) -> None:
    images = [NACL.positions + np.array([0, 0, i]) for i in range(10)]
    repeated = np.concatenate(images) / [1, 1, 10]
    large = Crystal(NACL.lengths * [1, 1, 10], NACL.angles, np.tile(NACL.numbers, 10), repeated)
    found = lm.explain(large, shipped_known=False)
    assert found.likelihood is None
    assert "positions" in found.likelihood_problem
    assert {site.log_probability for site in found.sites} == {None}
    assert "likelihood: none" in str(found)
