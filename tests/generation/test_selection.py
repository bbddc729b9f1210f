"""The best are kept, no two alike, and what each rule leaves out is counted."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.errors import SettingError
from crystext.generation import selection
from crystext.generation.selection import (
    Candidate,
    SelectionRule,
    SelectionSummary,
    default_prototype_limit,
    select_best,
)
from crystext.metrics.uniqueness import duplicates_of
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import find_space_group
from crystext.text import WYCKOFF, decode

ROCK_SALTS = {name: f"225\n{name[:2]} 4a\n{name[2:]} 4b\n5.{i}0" for i, name in enumerate(
    ("NaCl", "LiCl", "RbCl", "NaBr", "LiBr", "RbBr"), start=3)}  # fmt: skip
CAESIUM_CHLORIDES = {name: f"221\n{name[:2]} 1a\n{name[2:]} 1b\n4.10" for name in ("CsCl", "CsBr")}
PEROVSKITE = "221\nSr 1a\nTi 1b\nO 3c\n3.91"
STRETCHED_SALT = "139\nNa 2a\nCl 2b\n3.75 5.60"
"""Rock salt of NaCl, 6% longer along one axis than it would be."""


@cache
def crystal(text: str) -> Crystal:
    found = decode(text, format=WYCKOFF).crystal
    assert found is not None, text
    return found


def candidates(*texts: str, scores: list[float] | None = None) -> list[Candidate]:
    """Candidates in the order of their scores, unless these are given."""
    scores = list(map(float, range(len(texts)))) if scores is None else scores
    return [Candidate(i, crystal(x), scores[i]) for i, x in enumerate(texts)]


def indices(best: selection.BestCandidates) -> list[int]:
    return [x.index for x in best.ranked]


def test_the_lowest_scores_are_kept_the_best_first() -> None:
    salts = list(ROCK_SALTS.values())[:4]
    best = select_best(candidates(*salts, scores=[3.0, 1.0, 2.0, 1.0]), 3, 9)
    assert indices(best) == [1, 3, 2]
    assert [x.rank for x in best.ranked] == [1, 2, 3]
    assert {x.prototype for x in best.ranked} == {"225 a b"}
    assert {x.space_group for x in best.ranked} == {225}
    assert +best.left_out == {"rank": 1}


def test_a_formula_is_kept_once_in_a_space_group_and_again_in_another() -> None:
    larger = ROCK_SALTS["NaCl"].replace("5.30", "5.90")
    caesium_like = CAESIUM_CHLORIDES["CsCl"].replace("Cs", "Na")
    best = select_best(candidates(ROCK_SALTS["NaCl"], larger, caesium_like), 3)
    assert indices(best) == [0, 2]
    assert +best.left_out == {"formula_and_space_group": 1}


def test_a_strained_copy_in_another_space_group_is_the_same_crystal() -> None:
    salt, stretched = crystal(ROCK_SALTS["NaCl"]), crystal(STRETCHED_SALT)
    assert find_space_group(salt) != find_space_group(stretched)
    best = select_best(candidates(STRETCHED_SALT, ROCK_SALTS["NaCl"], PEROVSKITE), 2)
    assert indices(best) == [0, 2]
    assert +best.left_out == {"same_crystal": 1}


def test_a_prototype_has_no_more_than_its_limit() -> None:
    best = select_best(
        candidates(*ROCK_SALTS.values(), PEROVSKITE, CAESIUM_CHLORIDES["CsCl"]), 4, 2
    )
    assert indices(best) == [0, 1, 6, 7]
    assert +best.left_out == {"prototype": 4}
    assert best.prototype_limit == 2


def test_a_limit_that_is_given_holds_where_too_few_are_left() -> None:
    best = select_best(candidates(*ROCK_SALTS.values()), 4, 3)
    assert indices(best) == [0, 1, 2]
    assert +best.left_out == {"prototype": 3}


def test_the_default_limit_is_raised_just_so_far_that_enough_are_kept() -> None:
    assert default_prototype_limit(6) == 1
    texts = (*ROCK_SALTS.values(), *CAESIUM_CHLORIDES.values(), PEROVSKITE)
    best = select_best(candidates(*texts), 6)
    # Rock salt thrice, caesium chloride twice, perovskite once: with two of each there were five.
    assert indices(best) == [0, 1, 2, 6, 7, 8]
    assert best.prototype_limit == 3
    assert +best.left_out == {"prototype": 3}


def test_the_default_limit_is_a_twentieth() -> None:
    assert [default_prototype_limit(n) for n in (1, 39, 40, 1000)] == [1, 1, 2, 50]


POOL = (*ROCK_SALTS.values(), *CAESIUM_CHLORIDES.values(), PEROVSKITE, STRETCHED_SALT)


@settings(max_examples=8)
@given(
    drawn=st.lists(st.tuples(st.sampled_from(POOL), st.integers(0, 5)), min_size=1, max_size=14),
    keep=st.integers(1, 8),
    limit=st.none() | st.integers(1, 3),
)
def test_every_candidate_is_kept_or_counted_and_no_two_kept_are_alike(
    drawn: list[tuple[str, int]], keep: int, limit: int | None
) -> None:
    given = [Candidate(i, crystal(text), float(score)) for i, (text, score) in enumerate(drawn)]
    best = select_best(given, keep, limit)
    assert len(best.ranked) + best.left_out.total() == len(given)
    assert len(best.ranked) <= keep
    assert min(best.left_out.values()) >= 0
    order = [(given[i].score, i) for i in indices(best)]
    assert order == sorted(order)
    crystals = [given[i].crystal for i in indices(best)]
    keys = [
        (reduced_formula(c.numbers), x.space_group)
        for c, x in zip(crystals, best.ranked, strict=True)
    ]
    assert len(set(keys)) == len(keys)
    assert duplicates_of(crystals) == [None] * len(crystals)
    assert max(Counter(x.prototype for x in best.ranked).values()) <= best.prototype_limit
    # Only repeats are left out for another reason than the rank.
    better = {key[0] for key in keys}
    left = [x for x in given if x.index not in indices(best) and (x.score, x.index) < order[-1]]
    prototypes = Counter(x.prototype for x in best.ranked)
    for one in left:
        full = max(prototypes.values()) == best.prototype_limit
        assert reduced_formula(one.crystal.numbers) in better or full


def test_how_many_are_looked_at_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (*ROCK_SALTS.values(), STRETCHED_SALT, *CAESIUM_CHLORIDES.values(), PEROVSKITE)
    whole = select_best(candidates(*texts), 2)
    monkeypatch.setattr(selection, "_MIN_CHUNK", 1)
    assert select_best(candidates(*texts), 2) == whole
    assert +whole.left_out == {"prototype": 5, "rank": 2, "same_crystal": 1}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"keep_best": 5, "of": 4}, r"best 5 cannot be kept of 4 samples"),
        ({"keep_best": 0, "of": 4}, r"keep_best is 0: expected 1 or more"),
        ({"keep_best": 1, "of": 4, "max_per_prototype": 0}, "max_per_prototype is 0"),
        ({"keep_best": 1, "of": 4, "by": "energies"}, "Did you mean 'energy'"),
        ({"keep_best": 1.5, "of": 4}, "keep_best"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(
    keywords: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        SelectionRule(**keywords)  # type: ignore[arg-type]


def test_a_summary_says_what_was_kept_and_why_the_others_were_not() -> None:
    summary = SelectionSummary(
        keep_best=3,
        of=10,
        by="energy",
        max_per_prototype=1,
        prototype_limit=1,
        samples=20,
        selected=5,
        left_out={"no_crystal": 2, "same_crystal": 0, "prototype": 13},
    )
    assert summary.lines() == [
        "kept: the best 5 of 20 samples by predicted energy above the hull",
        "left out: 2 not a crystal; 13 prototype of as many better ones as are allowed",
        "fewer than the 6 requested: the others are not crystals, miss a condition or repeat "
        "these; choose from more samples, or allow more of one prototype",
    ]
