"""Samples weigh so that kinds become as frequent as among the validation crystals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.errors import InputError
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import WyckoffCrystal, from_wyckoff
from crystext.text import WYCKOFF
from crystext.training.reward.samples import RewardedSample, sample_weights
from crystext.training.reward.settings import RewardSettings


def crystal(metal: str) -> WyckoffCrystal:
    found = WYCKOFF.declared_wyckoff(f"225\n{metal} 4a\nCl 4b\n5.60")
    assert found is not None
    return found


def records(*metals: str) -> list[Record]:
    """Return one record for each metal."""
    return [Record(from_wyckoff(crystal(x)), name=x, wyckoff=crystal(x)) for x in metals]


METALS = ("Na", "Na", "Na", "K") * 100
SAMPLES = [
    RewardedSample("", "", crystal(metal), reward)
    for metal, reward in zip(METALS, np.random.default_rng(0).random(len(METALS)), strict=True)
]
IS_SODIUM = np.array([metal == "Na" for metal in METALS])


def settings(**changes: object) -> RewardSettings:
    given = {"samples": [Path("samples")], "tables": [Path("scores.csv")], **changes}
    return RewardSettings.model_validate(given)


def test_elements_become_as_frequent_as_in_validation() -> None:
    splits = {"train": records("Li"), "validation": records("Na", "K", "K", "K")}
    kept = sample_weights(SAMPLES, splits, settings())
    assert kept[IS_SODIUM].sum() / kept.sum() == pytest.approx(0.75, abs=0.01)
    moved = sample_weights(SAMPLES, splits, settings(as_in_validation=["elements"]))
    assert moved[IS_SODIUM].sum() / moved.sum() == pytest.approx(0.25, abs=0.02)
    # Within a kind the better still weigh more.
    order = np.argsort([x.reward for x in SAMPLES])
    sodium = moved[order][IS_SODIUM[order]]
    assert sodium[-1] > 2 * sodium[0]


def test_validation_without_crystals_is_told() -> None:
    splits = {"train": records("Li"), "validation": []}
    with pytest.raises(InputError, match="no crystal of the validation split"):
        sample_weights(SAMPLES, splits, settings(as_in_validation=["elements"]))
