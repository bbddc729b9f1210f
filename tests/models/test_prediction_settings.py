"""properties.json says what a model predicts, and is read as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crystext.errors import ModelError
from crystext.models.prediction_settings import (
    SETTINGS_FILE,
    PredictionSettings,
    read_prediction_settings,
    write_prediction_settings,
)
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.tasks.answer_scales import AnswerScale

VALUES = np.concatenate([np.zeros(50), np.geomspace(1e-5, 40, 300)])
SETTINGS = PredictionSettings(
    {
        "band_gap": AnswerScale.fit(PROPERTIES["band_gap"], VALUES, 32),
        "is_metal": AnswerScale.fit(PROPERTIES["is_metal"], np.array([0.0, 1.0]), 32),
        "hardness": AnswerScale(Property("hardness", "Vickers hardness", unit="GPa"), digits=3),
    },
    ("wyckoff", "composition"),
    {"band_gap": {"0.5": 0.45, "0.9": 0.87}},
    {"band_gap": 350},
    generates=False,
)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_prediction_settings(tmp_path, SETTINGS)
    found = read_prediction_settings(tmp_path)
    assert found is not None
    assert found.inputs == SETTINGS.inputs
    assert found.generates is False
    assert found.calibration["band_gap"] == SETTINGS.calibration["band_gap"]
    for name, scale in SETTINGS.scales.items():
        assert found.scales[name].choices == scale.choices
        assert found.scales[name].atoms == scale.atoms
        assert found.properties[name] == scale.target


def test_a_folder_without_the_file_predicts_nothing(tmp_path: Path) -> None:
    assert read_prediction_settings(tmp_path) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda x: x.pop("inputs"), "inputs"),
        (lambda x: x.update(inputs=["poem"]), "poem"),
        (lambda x: x.update(properties={}), "no property"),
        (lambda x: x["properties"]["band_gap"].update(levels=[2.0, 1.0]), "ascend"),
        (lambda x: x["properties"]["band_gap"].update(kind="category"), "category"),
        (lambda x: x["properties"]["band_gap"].update(levels="many"), "damaged"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, damage: object, said: str) -> None:
    write_prediction_settings(tmp_path, SETTINGS)
    path = tmp_path / SETTINGS_FILE
    content = json.loads(path.read_text())
    damage(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=said):
        read_prediction_settings(tmp_path)
    path.write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        read_prediction_settings(tmp_path)
