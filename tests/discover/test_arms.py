"""Where texts are drawn next."""

from __future__ import annotations

import numpy as np

from crystext.conditions import Conditions
from crystext.discover.arms import (
    Arm,
    ArmStatistics,
    choose_arms,
    exchange_arms,
    first_arms,
    narrowed_arms,
)
from crystext.discover.records import JudgeRecord, Outcome, RelaxedRecord, SampledText

SYSTEM = Conditions.from_keywords(chemical_system="Na-Cl")


def text(outcome, index=0, arm="all", formula="NaCl"):
    return SampledText(index, arm, "", -1.0, 5, outcome, "", formula, 2, 225)


def relaxed(outcome, above, index=0):
    judge = JudgeRecord("judge", "", above, 0.0, 0.0, None, None, True, 1)
    return RelaxedRecord(index, outcome, (judge,))


def statistics(*pairs):
    found = ArmStatistics()
    for one, other in pairs:
        found.add_text(one)
        if other is not None:
            found.add_relaxed(one, other)
    return found


def test_an_arm_that_finds_candidates_is_drawn_more_often():
    good, bad = Arm("formula NaCl", SYSTEM), Arm("formula Na2Cl", SYSTEM)
    waiting = Outcome.WAITING
    found = statistics(
        *[(text(waiting), relaxed(Outcome.CANDIDATE, 0.0)) for _ in range(9)],
        *[(text(waiting, formula="Na2Cl"), relaxed(Outcome.HIGH_ENERGY, 1.0)) for _ in range(9)],
    )
    rng = np.random.default_rng(0)
    chosen = [choose_arms([good], [bad], found, 2, rng)[1].label for _ in range(200)]
    assert chosen.count("formula NaCl") > 190


def test_a_formula_whose_crystals_come_again_is_left():
    arm, other = Arm("formula NaCl", SYSTEM), Arm("formula Na2Cl", SYSTEM)
    found = statistics(
        (text(Outcome.WAITING), relaxed(Outcome.CANDIDATE, 0.0)),
        *[(text(Outcome.DUPLICATE), None) for _ in range(200)],
    )
    rng = np.random.default_rng(0)
    chosen = [choose_arms([other], [arm], found, 2, rng)[1].label for _ in range(200)]
    assert chosen.count("formula NaCl") < 20


def test_every_fourth_batch_at_least_is_written_freely():
    first = first_arms([SYSTEM])
    arm = Arm("formula NaCl", SYSTEM)
    found = statistics(
        *[(text(Outcome.WAITING, arm="x"), relaxed(Outcome.CANDIDATE, 0.0)) for _ in range(99)]
    )
    chosen = choose_arms(first, [arm], found, 8, np.random.default_rng(1))
    assert [chosen[3].label, chosen[7].label] == ["all", "all"]
    assert choose_arms(first, [arm], found, 8, np.random.default_rng(1)) == chosen


def test_exchanges_get_every_fourth_batch_at_least():
    (exchange,) = exchange_arms([SYSTEM])
    found = statistics(
        *[(text(Outcome.WAITING, arm=exchange.label), relaxed(Outcome.HIGH_ENERGY, 1.0))] * 99
    )
    first = first_arms([SYSTEM])
    chosen = choose_arms(first, [exchange], found, 8, np.random.default_rng(1))
    assert [arm.exchanges for arm in chosen] == [True, *[False] * 3] * 2
    assert not any(x.exchanges for x in choose_arms(first, [], found, 8, np.random.default_rng(1)))


def test_arms_are_made_of_low_energies_alone():
    found = statistics(
        (text(Outcome.WAITING), relaxed(Outcome.CANDIDATE, 0.02)),
        (text(Outcome.WAITING, 1, formula="Na2Cl"), relaxed(Outcome.HIGH_ENERGY, 0.4)),
    )
    arms = {arm.label: arm.conditions for arm in narrowed_arms(SYSTEM, found, 0.1)}
    assert list(arms) == ["atoms 2", "formula NaCl", "space group 225"]
    assert arms["formula NaCl"].composition == "NaCl"
    assert arms["atoms 2"].n_atoms == (2, 2)
    assert arms["space group 225"].chemical_system == SYSTEM.chemical_system


def test_what_the_search_fixes_is_no_arm():
    found = statistics((text(Outcome.WAITING), relaxed(Outcome.CANDIDATE, 0.02)))
    fixed = Conditions.from_keywords(composition="NaCl", space_group=225)
    assert [arm.label for arm in narrowed_arms(fixed, found, 0.1)] == ["atoms 2"]
