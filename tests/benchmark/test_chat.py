"""Chat models with random weights are asked for properties, and their answers are parsed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from crystext.benchmark.answers import parse_answer
from crystext.benchmark.chat import ChatMethod
from crystext.benchmark.prompts import Shot, load_chat_prompts
from crystext.errors import InputError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.open import open_text_model
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks.representations import get_representation
from tests.chat_models import write_chat_model

GAP = Property("band_gap", "band gap", unit="eV")
FORMULAS = ("SrTiO3", "Si", "GaAs", "MgO", "K2O", "NaCl", "ZnS")
RECORDS = [
    Record(texts={"formula": formula}, labels={"band_gap": float(i)})
    for i, formula in enumerate(FORMULAS)
]
SAMPLED = ChatDecoding(temperature=1.0, max_new_tokens=12, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("chat") / "model")


def method(folder: Path, **changes: object) -> ChatMethod:
    values = {
        "model": open_text_model(str(folder), SAMPLED),
        "prompts": load_chat_prompts(),
        "representation": get_representation("formula"),
        "input_name": "formula",
        "parse": parse_answer,
        **changes,
    }
    return ChatMethod(**values)  # type: ignore[arg-type]


def test_answers_are_numbers_or_failures_with_their_text(folder: Path) -> None:
    predictor = method(folder).fit(RECORDS, [], {"band_gap": GAP})
    found = predictor.predict(RECORDS)["band_gap"]
    assert len(found) == len(found.answers) == len(RECORDS)
    for value, problem, answer in zip(found.values, found.problems, found.answers, strict=True):
        parsed = parse_answer(answer, GAP)
        assert problem == parsed.message
        assert value == parsed.value or (math.isnan(value) and math.isnan(parsed.value))
    # Random digits: some answers are numbers, so that the whole path is seen.
    assert np.isfinite(found.values).any()


def test_examples_are_the_first_complete_training_records(folder: Path) -> None:
    train = [
        Record(texts={"formula": "A1"}, labels={"band_gap": 1.0}),
        Record(texts={"formula": "B1"}, labels={"band_gap": 2.0, "volume": 3.0}),
        Record(texts={}, labels={"band_gap": 2.0, "volume": 3.0}),
        Record(texts={"formula": "C1"}, labels={"band_gap": 4.0, "volume": 3.0}),
    ]
    predictor = method(folder, few_shot=2, complete_in=("volume",)).fit(
        train, [], {"band_gap": GAP}
    )
    assert predictor.shots == {"band_gap": (Shot("B1", 2.0), Shot("C1", 4.0))}
    with pytest.raises(InputError, match="5 examples are needed, and the training data hold 3"):
        method(folder, few_shot=5).fit(train, [], {"band_gap": GAP})


def test_a_record_without_the_input_is_a_failure(folder: Path) -> None:
    predictor = method(folder).fit([], [], {"band_gap": GAP})
    found = predictor.predict([Record(texts={"smiles": "C"}), RECORDS[0]])["band_gap"]
    assert "no formula" in found.problems[0]
    assert found.answers[0] == ""


def test_an_unknown_property_is_refused(folder: Path) -> None:
    predictor = method(folder).fit([], [], {"band_gap": GAP})
    with pytest.raises(SettingError, match="Did you mean 'band_gap'"):
        predictor.predict(RECORDS, ["band_gaps"])
