from __future__ import annotations

from dataclasses import asdict

from crystext.conditions import Conditions
from crystext.generation.condition_summary import summarize_conditions
from tests.example_crystals import NACL, SRTIO3


def test_each_condition_is_counted_over_the_attempts_that_were_asked_for_it() -> None:
    both = Conditions.from_keywords(composition="NaCl", space_group=225, band_gap=5)
    one = Conditions.from_keywords(composition="SrTiO3")
    judged = [both.check(NACL), both.check(SRTIO3), both.check(None), one.check(SRTIO3)]
    attempts = [
        {
            "conditions": [asdict(record) for record in records],
            "satisfied": place in (0, 3),
            "attempts": 2,
        }
        for place, records in enumerate(judged)
    ]
    assert summarize_conditions(attempts).lines() == [
        "composition: enforced, satisfied by 2 of 4",
        "space_group: steered, satisfied by 1 of 3",
        "band_gap: steered; cannot be checked in a crystal",
        "all that can be checked: 2 of 4, by 2.0 attempts each",
    ]


def test_texts_that_were_refused_are_counted_by_what_they_missed() -> None:
    asked = Conditions.from_keywords(oxidation="Na=1", unit="NaCl6")
    attempts = [
        {
            "conditions": [asdict(record) for record in asked.check(crystal)],
            "satisfied": crystal is NACL,
            "attempts": count,
            "refused": refused,
        }
        for crystal, count, refused in (
            (NACL, 3, {"unit": 2, "oxidation": 1}),
            (SRTIO3, 5, {"unit": 5}),
        )
    ]
    assert summarize_conditions(attempts).lines()[-1] == (
        "yield: 1 of 8 texts (12%); refused for: unit 7, oxidation 1 (a text may miss several)"
    )


def test_attempts_at_any_crystal_have_no_summary() -> None:
    assert (
        summarize_conditions([{"conditions": [], "satisfied": True, "attempts": 1}]).lines() == []
    )
