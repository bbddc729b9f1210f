"""The method `language`: small models trained on the records, which answer together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.chemistry.elements import SYMBOLS
from crystext.data.property_table import label_values
from crystext.errors import InputError
from crystext.predict.base import Predictor
from crystext.predict.language import LanguagePredictor
from crystext.predict.language_method import LanguageMethod
from crystext.predict.methods import METHODS
from crystext.structures.property_schema import Property
from crystext.structures.record import Record

TARGETS = {"y": Property("y", "y")}

TINY = (
    "model.new.hidden_size=32",
    "model.new.intermediate_size=64",
    "model.new.heads=2",
    "optim.batch_sequences=32",
    "optim.epochs=20",
    "properties.levels=20",
    "data.validation_fraction=0.15",
)


def records(count: int, seed: int) -> list[Record]:
    """Binary compounds whose label is the mean atomic number."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        a, b = rng.choice(40, 2, replace=False)
        x = int(rng.integers(1, 5))
        label = float(x * (a + 1) + b + 1) / (x + 1)
        formula = f"{SYMBOLS[a]}{x}{SYMBOLS[b]}"
        found.append(Record(texts={"formula": formula}, labels={"y": label}))
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def predictor(runs: Path) -> Predictor:
    return LanguageMethod(overrides=TINY, models=2, out=runs).fit(records(300, 0), (), TARGETS)


def test_models_together_are_better_than_the_mean_of_the_labels(
    predictor: Predictor,
) -> None:
    test = records(60, 1)
    truth = label_values(test, "y")
    found = predictor.predict(test)["y"]
    assert np.abs(found.values - truth).mean() < 0.8 * np.abs(truth - truth.mean()).mean()
    low, high = found.intervals[0.9].T
    assert ((low <= truth) & (truth <= high)).mean() > 0.6


def test_kept_models_answer_alike(predictor: Predictor, runs: Path) -> None:
    test = records(20, 2)
    again = LanguagePredictor.open(runs / "model-1" / "model", runs / "model-2" / "model")
    assert np.array_equal(again.predict(test)["y"].values, predictor.predict(test)["y"].values)
    alone = LanguagePredictor.open(runs / "model-1" / "model").predict(test)["y"]
    assert not np.array_equal(alone.values, again.predict(test)["y"].values)


def test_the_method_has_a_name() -> None:
    assert METHODS["language"].title == "language model trained on the table"


def test_records_without_a_label_teach_nothing() -> None:
    unlabelled = [Record(texts={"formula": "NaCl"})] * 5
    with pytest.raises(InputError, match="0 training records have a label of y"):
        METHODS["language"].fit(unlabelled, (), TARGETS)
