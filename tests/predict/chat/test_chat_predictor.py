"""Chat models with random weights are asked for properties, and their answers are parsed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from crystext.errors import CrystextError, InputError, ModelError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.open import open_text_model
from crystext.predict.chat.answers import parse_answer
from crystext.predict.chat.method import ChatMethod
from crystext.predict.chat.predictor import OpenChatPredictor, PropertyQuestion
from crystext.predict.chat.prompts import Shot, load_chat_prompts
from crystext.predict.open import open_predictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks.chat_prompt import ChatPrompt
from tests.chat_models import write_chat_model
from tests.example_crystals import NACL

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


QUESTION = PropertyQuestion(load_chat_prompts(), ("formula",))


def method(folder: Path, **changes: object) -> ChatMethod:
    values = {"model": open_text_model(str(folder), SAMPLED), "question": QUESTION, **changes}
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


def test_a_record_is_shown_in_the_first_representation_that_it_has(folder: Path) -> None:
    predictor = OpenChatPredictor.open(str(folder))
    records = [Record(NACL, texts={"formula": "NaCl"}), Record(texts={"formula": "SrTiO3"})]
    shown = [x.as_text() for x in predictor.prompts(records, GAP) if isinstance(x, ChatPrompt)]
    assert "_cell_length_a" in shown[0]
    assert "SrTiO3" in shown[1]
    by_formula = OpenChatPredictor.open(str(folder), inputs=["formula"])
    (first, _) = by_formula.prompts(records, GAP)
    assert isinstance(first, ChatPrompt)
    assert "_cell_length_a" not in first.as_text()


def test_the_same_call_opens_it_and_its_table_has_the_columns_of_any_other(folder: Path) -> None:
    predictor = open_predictor(f"chat:{folder}")
    assert isinstance(predictor, OpenChatPredictor)
    table = predictor.table(["SrTiO3", "NaCl"], ["band_gap", "melting point (K)"])
    assert table.columns.tolist() == [
        "name", "formula",
        "band_gap_ev", "band_gap_mean_ev", "band_gap_low90_ev", "band_gap_high90_ev",
        "band_gap_answer",
        "melting point_k", "melting point_mean_k", "melting point_low90_k",
        "melting point_high90_k", "melting point_answer",
        "distance_percentile", "nearest_composition", "problem",
    ]  # fmt: skip
    empty = [x for x in table.columns if "90" in x or "mean" in x or "nearest" in x]
    assert table[[*empty, "distance_percentile"]].isna().all(axis=None)


def test_the_questions_are_those_of_the_benchmark(folder: Path) -> None:
    """One model, one record, one prompt: whether it is benchmarked or used."""
    benchmarked = method(folder).fit([], [], {"band_gap": GAP})
    used = OpenChatPredictor.open(str(folder), inputs=["formula"])
    target = used.property("band_gap")
    assert benchmarked.prompts(RECORDS, target) == used.prompts(RECORDS, target)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "asked for what is named"),
        (None, "asked for what is named"),
        (["bandgap"], "Did you mean 'band_gap'"),
        (["formula"], "'formula' is no property here"),
        (["band_gap (K)"], "expected in eV"),
    ],
)
def test_what_cannot_be_asked_is_one_message(
    folder: Path, names: list[str] | None, message: str
) -> None:
    with pytest.raises(CrystextError, match=message):
        OpenChatPredictor.open(str(folder)).predict(RECORDS, names)


def test_there_are_no_equivalent_texts_to_average_over(folder: Path) -> None:
    with pytest.raises(SettingError, match="views averages"):
        OpenChatPredictor.open(str(folder)).table("SrTiO3", ["band_gap"], views=2)


def test_a_chat_model_is_no_part_of_an_ensemble(folder: Path) -> None:
    with pytest.raises(ModelError, match="answers alone"):
        open_predictor(f"chat:{folder}", "shipped")
