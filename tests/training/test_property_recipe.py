"""Recipes of property prediction: what belongs together, and what cannot be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystext.errors import InputError, SettingError
from crystext.training.property_task import property_task
from crystext.training.recipe import Recipe, load_recipe, parse_recipe
from crystext.training.training_data import read_data

BASE: dict[str, Any] = {
    "data": "textbook",
    "tasks": {"property": 1},
    "properties": {"targets": ["density"], "inputs": ["composition"]},
    "translate_probability": 0,
    "model": {"base": "shipped"},
    "optim": {"learning_rate": 1e-3, "steps": 1, "batch_sequences": 2},
}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({**BASE, **changes}, "the test")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"properties": None}, "belong together"),
        ({"tasks": {"unconditional": 1}}, "belong together"),
        ({"properties": {"targets": []}}, "no property"),
        ({"properties": {"targets": ["space_group_symbol"]}}, "category"),
        ({"properties": {"targets": ["density"], "inputs": ["wycoff"]}}, "Did you mean 'wyckoff'"),
        ({"properties": {"targets": ["density"], "inputs": {"cif": 0}}}, "not above 0"),
        ({"properties": {"targets": ["density"], "level": 9}}, "level"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        recipe(**changes)


def test_known_properties_need_no_settings_and_others_have_titles_and_units() -> None:
    settings = recipe(
        properties={"targets": {"density": None, "hardness": {"unit": "GPa"}}}
    ).properties
    assert settings is not None
    found = settings.properties()
    assert found["density"].unit == "g/cm^3"
    assert (found["hardness"].title, found["hardness"].unit) == ("hardness", "GPa")


def test_all_targets_that_cannot_be_learned_are_named_at_once() -> None:
    bad = recipe(properties={"targets": ["band_gap", "e_above_hull", "density"]})
    with pytest.raises(InputError) as error:
        property_task(bad, read_data(bad))
    assert "band_gap" in str(error.value)
    assert "e_above_hull" in str(error.value)
    assert "density" not in str(error.value)


def test_levels_of_an_adapter_are_refused_before_training(tmp_path: Path) -> None:
    from crystext.training.trainer import Trainer

    with pytest.raises(SettingError, match="answer=digits"):
        Trainer(recipe(model={"base": "shipped", "lora": {}}), tmp_path / "run")


def test_the_recipe_of_the_shipped_predictor_is_complete() -> None:
    found = load_recipe("predictor")
    assert not found.generates
    assert found.properties is not None
    assert len(found.properties.properties()) == 5
