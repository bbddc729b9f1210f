"""A model learns properties as text, is saved, loaded and asked: with levels, and with digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from crystext.data.textbook import read_textbook
from crystext.errors import ModelError, SettingError
from crystext.lm import CrystalLM
from crystext.predict.language import LanguagePredictor
from crystext.structures.record import Failure, Record
from crystext.training.recipe import parse_recipe
from crystext.training.trainer import Trainer
from tests.example_crystals import NACL
from tests.tiny_model import write_tiny_model

RECIPE: dict[str, Any] = {
    "data": "textbook",
    "tasks": {"property": 1},
    "properties": {"targets": ["density", "n_atoms"], "inputs": ["composition", "wyckoff"],
                   "levels": 32},
    "translate_probability": 0,
    "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 2, "heads": 2}},
    "optim": {"learning_rate": 0.02, "steps": 60, "batch_sequences": 16, "warmup_steps": 5},
    "precision": "fp32",
    "evaluate_every": 30,
}  # fmt: skip
RECORDS = [read_textbook("validation")[i] for i in range(8)]


def trained(out: Path, **properties: object) -> Path:
    values = {**RECIPE, "properties": {**RECIPE["properties"], **properties}}
    recipe = parse_recipe(values, "the test")
    Trainer(recipe, out).run(Console(quiet=True))
    return out / "model"


@pytest.fixture(scope="module")
def by_levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("levels") / "run")


@pytest.fixture(scope="module")
def by_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("digits") / "run", answer="digits", digits=2)


@pytest.fixture(params=["by_levels", "by_digits"])
def model(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def test_every_record_gets_a_value_within_its_intervals(model: Path) -> None:
    found = LanguagePredictor.open(model).predict(RECORDS)
    assert list(found) == ["density", "n_atoms"]
    for predictions in found.values():
        assert predictions.is_valid.all()
        assert set(predictions.problems) == {""}
        narrow, wide = predictions.intervals[0.5], predictions.intervals[0.9]
        assert np.all(wide[:, 0] <= narrow[:, 0] + 1e-9)
        assert np.all(narrow[:, 1] <= wide[:, 1] + 1e-9)
        assert np.all(np.isfinite(predictions.means))


def test_a_trained_model_knows_more_than_the_mean(by_levels: Path) -> None:
    """Of crystals that it has seen: fitting comes before generalizing."""
    data = read_textbook("train")
    records = [data[i] for i in range(len(data))]
    truth = np.array([len(r.require_crystal()) for r in records], dtype=float)
    found = LanguagePredictor.open(by_levels).predict(records, ["n_atoms"])["n_atoms"]
    error = np.abs(found.values - truth).mean()
    assert error < 0.7 * np.abs(np.median(truth) - truth).mean()


def test_a_composition_alone_is_enough(model: Path) -> None:
    records = [Record(texts={"formula": text}) for text in ("NaCl", "SrTiO3", "Fe0.9Ni0.1O")]
    found = LanguagePredictor.open(model).predict(records, ["density"])
    assert list(found) == ["density"]
    assert found["density"].is_valid.all()


def test_what_cannot_be_read_keeps_its_place_and_its_reason(by_levels: Path) -> None:
    bad = [
        Record(failure=Failure("UNREADABLE", "the file is empty")),
        Record(NACL),
        Record(texts={"formula": "Xx"}),
        Record(texts={"smiles": "CCO"}),
    ]
    found = LanguagePredictor.open(by_levels).predict(bad, ["density"])["density"]
    assert found.is_valid.tolist() == [False, True, False, False]
    assert found.problems[0] == "the file is empty"
    assert "Xx" in found.problems[2]
    assert "composition" in found.problems[3]


def test_the_order_of_records_and_of_properties_changes_no_value(by_levels: Path) -> None:
    predictor = LanguagePredictor.open(by_levels)
    whole = predictor.predict(RECORDS)
    turned = predictor.predict(RECORDS[::-1], ["n_atoms", "density"])
    for name in whole:
        assert turned[name].values[::-1] == pytest.approx(whole[name].values, rel=1e-4)


def test_an_ensemble_of_equal_models_says_what_one_says(by_levels: Path) -> None:
    one = LanguagePredictor.open(by_levels).predict(RECORDS)["density"]
    two = LanguagePredictor.open(by_levels, by_levels).predict(RECORDS)["density"]
    assert two.values == pytest.approx(one.values)


def test_models_of_different_properties_are_no_ensemble(by_levels: Path, tmp_path: Path) -> None:
    other = trained(tmp_path / "run", targets=["density"])
    with pytest.raises(ModelError, match="same properties"):
        LanguagePredictor.open(by_levels, other)


def test_an_unknown_property_is_refused_with_what_there_is(by_levels: Path) -> None:
    with pytest.raises(SettingError, match="density"):
        LanguagePredictor.open(by_levels).predict(RECORDS, ["densty"])


def test_a_model_that_predicts_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="predicts no property"):
        LanguagePredictor.open(write_tiny_model(tmp_path / "model"))


def test_a_model_that_writes_no_crystal_is_not_sampled_from(by_levels: Path) -> None:
    lm = CrystalLM.open(by_levels)
    with pytest.raises(ModelError, match="writes no crystals"):
        lm.sample(1)
    with pytest.raises(ModelError, match="writes no crystals"):
        lm.infill(NACL, species={"Na": "?"}, n=1)


def test_a_generator_predicts_through_the_predictor_that_ships(by_levels: Path) -> None:
    table = CrystalLM.open().predict([NACL, "SrTiO3"], ["band_gap"])
    assert table["formula"].tolist() == ["NaCl", "SrTiO3"]
    assert table["band_gap_ev"].notna().all()
    own = CrystalLM.open(by_levels).predict(NACL, ["density"])
    assert own["density_g_per_cm3"].notna().all()
