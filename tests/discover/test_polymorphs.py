"""Polymorphs: what stands beside a candidate, and how probable the ground state is."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

from crystext.chemistry.formulas import parse_formula
from crystext.discover.arms import FIRST_ARM
from crystext.discover.polymorphs import TABLE, chances, polymorphs
from crystext.discover.publish import rank_search
from crystext.discover.records import Outcome, SampledText
from crystext.discover.search import Search
from crystext.structures.properties import reduced_formula
from tests.discover.emt_search import open_emt_search


def test_candidates_stand_beside_the_known_crystals_of_their_formula(done_search: Search) -> None:
    ranked = rank_search(done_search)
    found = {group.formula: group.polymorphs for group in polymorphs(done_search, ranked)}
    assert found
    known = done_search.tools.known_crystals.with_elements(frozenset({"Cu", "Au"}))
    for formula, rows in found.items():
        assert set(parse_formula(formula)) == {"Cu", "Au"}
        names = [row.name for row in rows]
        expected = [x.candidate.name for x in ranked if x.candidate.sample.formula == formula]
        expected += [name for name, x in known if reduced_formula(x.numbers) == formula]
        assert sorted(names) == sorted(set(expected))
        energies = [x.e_above_hull_ev_per_atom for x in rows if x.energy_rank is not None]
        assert energies == sorted(energies)
        assert [x.energy_rank for x in rows[: len(energies)]] == [*range(1, len(energies) + 1)]
        likely = sorted(
            (x for x in rows if x.log_probability is not None), key=lambda x: -x.log_probability
        )
        assert [x.likelihood_rank for x in likely] == [*range(1, len(likely) + 1)]


def test_texts_of_a_crystal_are_those_that_equal_it(done_search: Search) -> None:
    history = done_search.history
    equal = Counter(
        text.message
        for text in history.texts.values()
        if text.outcome in (Outcome.DUPLICATE, Outcome.KNOWN)
    )
    again = {x.nearest_known for x in history.relaxed if x.outcome is Outcome.RELAXED_KNOWN}
    for group in polymorphs(done_search, rank_search(done_search)):
        for row in group.polymorphs:
            if row.kind == "candidate":
                index = str(int(row.name.partition("-")[0]))
                assert row.texts == 1 + equal[index] + equal[row.name]
            else:
                drawn = bool(equal[row.name]) or row.name in again
                assert row.kind == f"known, {'found again' if drawn else 'not found'}"
                assert drawn == (row.texts > 0) == (row.log_probability is not None)


def test_table_and_page_have_them(done_search: Search) -> None:
    assert done_search.out is not None
    found = polymorphs(done_search, rank_search(done_search))
    with (done_search.out / TABLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [x.name for group in found for x in group.polymorphs]
    page = (done_search.out / "report.html").read_text(encoding="utf-8")
    assert '<section id="polymorphs">' in page
    assert "Is the ground state among them?" not in page


def test_the_ground_state_is_more_probable_the_more_texts_there_are(
    emt_hull: Path, tmp_path: Path
) -> None:
    conditions = {"chemical_system": None, "n_atoms": None, "composition": "CuAu"}
    search = open_emt_search(emt_hull, None, conditions=conditions)
    text = SampledText(0, FIRST_ARM, "", -1.0, 1, Outcome.WAITING, formula="CuAu", n_atoms=2)

    def add(count: int, **changes: object) -> None:
        start = search.history.next_index
        search.history.texts |= {
            i: replace(text, index=i, **changes) for i in range(start, start + count)
        }

    assert chances(search) == []
    add(5)
    add(30, arm="space group 123")
    (few,) = chances(search)
    assert (few.n_atoms, few.texts, few.counted_texts) == (2, 5, 5)
    add(18, arm="atoms 2")
    add(3, n_atoms=12)
    many, large = chances(search)
    assert (many.texts, many.counted_texts) == (23, 20)
    assert few.probability < many.probability < 1
    assert large.probability < few.probability
    assert min(few.crystals, large.crystals) >= 5


def test_other_settings_have_no_probability(emt_hull: Path) -> None:
    conditions = {"chemical_system": None, "n_atoms": None, "composition": "CuAu"}
    for changes in ({"temperature": 0.5}, {"conditions": {**conditions, "space_group": 123}}):
        search = open_emt_search(emt_hull, None, **{"conditions": conditions, **changes})
        text = SampledText(0, FIRST_ARM, "", -1.0, 1, Outcome.WAITING, formula="CuAu", n_atoms=2)
        search.history.texts[0] = text
        assert chances(search) == []
