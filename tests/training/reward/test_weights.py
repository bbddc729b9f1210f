"""Weights favour what scored better than its kind, and leave the kinds as frequent as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.structures.crystal import Floats
from crystext.structures.wyckoff.orbits import WyckoffCrystal
from crystext.text import WYCKOFF
from crystext.training.reward.settings import KINDS
from crystext.training.reward.weights import advantages, class_features, exponential_weights


def crystal(text: str) -> WyckoffCrystal:
    found = WYCKOFF.declared_wyckoff(text)
    assert found is not None
    return found


ROCK_SALT = [crystal(f"225\n{a} 4a\n{b} 4b\n5.60") for a in ("Na", "K") for b in ("Cl", "Br")]
TETRAGONAL = [
    crystal(f"136\n{a} 2a\nO 4f 0.{x}\n4.59 2.96") for a in ("Ti", "Sn") for x in (305, 4)
]
SAMPLES = [*ROCK_SALT, *TETRAGONAL] * 50
NONE_KNOWN = np.zeros(len(SAMPLES), dtype=np.bool_)


def weigh(rewards: Floats, kinds: tuple[str, ...] = KINDS, **changes: float) -> Floats:
    given = {"sharpness": 1.5, "most": 4.0, "known_weight": 0.7} | changes
    features = class_features(SAMPLES, kinds)
    advantage = advantages(rewards, features, ~NONE_KNOWN)
    return exponential_weights(advantage, features, NONE_KNOWN, **given)


def test_the_better_of_a_kind_weighs_more() -> None:
    rewards = np.random.default_rng(0).random(len(SAMPLES))
    weights = weigh(rewards)
    rutile = slice(4, None, 8)
    order = np.argsort(rewards[rutile])
    assert (np.diff(weights[rutile][order]) >= 0).all()
    assert weights[rutile][order[-1]] > 2 * weights[rutile][order[0]]


def test_kinds_stay_as_frequent_as_they_are() -> None:
    # Tetragonal oxides score far worse, and no sample differs much from its kind.
    rewards = np.random.default_rng(1).normal(0, 0.1, len(SAMPLES))
    rewards[[i for i, x in enumerate(SAMPLES) if x.space_group == 136]] -= 5
    oxides = np.array([x.space_group == 136 for x in SAMPLES])
    assert weigh(rewards)[oxides].sum() / weigh(rewards).sum() == pytest.approx(0.5, abs=0.01)
    free = weigh(rewards, kinds=())
    assert free[oxides].sum() / free.sum() < 0.15


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(1.5, 10))
def test_the_mean_weight_is_one_unless_weights_are_cut(
    seed: int, sharpness: float, most: float
) -> None:
    rewards = np.random.default_rng(seed).normal(size=len(SAMPLES))
    weights = weigh(rewards, sharpness=sharpness, most=most)
    assert (weights > 0).all()
    assert (weights <= most).all()
    assert weights.mean() <= 1 + 1e-9
    if weights.max() < most:
        assert weights.mean() == pytest.approx(1)


def test_kinds_whose_rewards_vary_most_do_not_become_more_frequent() -> None:
    spread = np.array([2.0 if x.space_group == 136 else 0.2 for x in SAMPLES])
    weights = weigh(np.random.default_rng(3).normal(0, 1, len(SAMPLES)) * spread)
    features = class_features(SAMPLES, KINDS)
    assert weights @ features / weights.sum() == pytest.approx(features.mean(0), abs=0.01)


def test_equal_rewards_leave_the_model_as_it_is() -> None:
    assert weigh(np.full(len(SAMPLES), 0.3)) == pytest.approx(1)


def test_known_crystals_have_a_weight_of_their_own() -> None:
    rewards = np.random.default_rng(2).normal(size=len(SAMPLES))
    known = np.arange(len(SAMPLES)) % 3 == 0
    features = class_features(SAMPLES, KINDS)
    advantage = advantages(rewards, features, ~known)
    given = {"sharpness": 1.5, "most": 4.0, "known_weight": 0.7}
    weights = exponential_weights(advantage, features, known, **given)
    assert (weights[known] == 0.7).all()
    assert weights[~known].mean() == pytest.approx(1, abs=0.15)


def test_a_kind_is_elements_space_group_sites_and_atoms() -> None:
    same, other_element, other_group = (
        crystal("225\nNa 4a\nCl 4b\n5.60"),
        crystal("225\nK 4a\nCl 4b\n5.60"),
        crystal("221\nNa 1a\nCl 1b\n3.60"),
    )
    rows = class_features([ROCK_SALT[0], same, other_element, other_group], KINDS)
    assert (rows[0] == rows[1]).all()
    assert (rows[0] != rows[2]).any()
    assert (rows[0] != rows[3]).any()
    only_group = class_features([same, other_element, other_group], ["space_group"])
    assert (only_group[0] == only_group[1]).all()
    assert (only_group[0] != only_group[2]).any()


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_kinds_become_as_frequent_as_one_says(share: float) -> None:
    oxygen = class_features(SAMPLES, KINDS)[:, 8:9]
    weights = exponential_weights(
        np.random.default_rng(4).normal(0, 0.3, len(SAMPLES)),
        oxygen,
        NONE_KNOWN,
        sharpness=1.5,
        most=4.0,
        known_weight=0.7,
        means=np.array([share * 2 / 3]),
    )
    is_rutile = oxygen[:, 0] > 0
    assert weights[is_rutile].sum() / weights.sum() == pytest.approx(share, abs=0.01)
