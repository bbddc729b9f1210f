"""Chat models with random weights answer through transformers, templates and the parser."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from crystext.benchmark.answers import parse_answer
from crystext.benchmark.chat import ChatDecoding, ChatMethod, ChatModel, tokenize
from crystext.benchmark.prompts import ChatPrompt, Message, Shot, load_chat_prompts
from crystext.errors import InputError, ModelError, SettingError
from crystext.models.network import read_tokenizer
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks.representations import get_representation
from tests.benchmark.chat_models import WITHOUT_SYSTEM, write_chat_model

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
        "model": ChatModel(str(folder), SAMPLED),
        "prompts": load_chat_prompts(),
        "representation": get_representation("formula"),
        "input_name": "formula",
        "parse": parse_answer,
        **changes,
    }
    return ChatMethod(**values)  # type: ignore[arg-type]


def prompts(count: int = len(FORMULAS)) -> list[ChatPrompt]:
    given = load_chat_prompts()
    return [
        given.render(GAP, "formula", "chemical formula", x, [Shot("KCl", 5.0)])
        for x in FORMULAS[:count]
    ]


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


def test_the_same_batch_has_the_same_answers_whatever_came_before(folder: Path) -> None:
    first = ChatModel(str(folder), SAMPLED).answer(prompts())
    model = ChatModel(str(folder), SAMPLED)
    model.answer(prompts(3))
    assert model.answer(prompts()) == first
    assert ChatModel(str(folder), SAMPLED, seed=1).answer(prompts()) != first


def test_greedy_decoding_does_not_depend_on_the_batch(folder: Path) -> None:
    answers = [
        ChatModel(str(folder), ChatDecoding(max_new_tokens=8, batch_size=size)).answer(prompts())
        for size in (1, 3, 8)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_the_models_own_template_is_used_with_one_start_token(folder: Path) -> None:
    tokenizer = read_tokenizer(folder)
    text = tokenizer.decode(tokenize(tokenizer, prompts()[0]))
    assert text.startswith("<s>system: You estimate")
    assert text.endswith("<s>assistant: ")
    assert "<s><s>" not in text


def test_a_template_without_a_system_role_gets_its_words_in_the_first_question(
    tmp_path: Path,
) -> None:
    tokenizer = read_tokenizer(write_chat_model(tmp_path / "m", template=WITHOUT_SYSTEM))
    text = tokenizer.decode(tokenize(tokenizer, prompts()[0]))
    assert text.startswith("<s>user: You estimate")
    assert "SrTiO3" in text


def test_a_model_without_a_template_gets_the_words(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(write_chat_model(tmp_path / "m", template=None))
    words = tokenizer.decode(tokenize(tokenizer, prompts()[0]), skip_special_tokens=True)
    assert words == prompts()[0].as_text()


def test_a_prompt_with_control_tokens_is_given_as_it_is(folder: Path) -> None:
    tokenizer = read_tokenizer(folder)
    text = "<s>[INST] band gap of Si? [/INST]"
    assert tokenizer.decode(tokenize(tokenizer, ChatPrompt(text=text))) == text


def test_a_prompt_that_does_not_fit_is_a_failure_among_the_others(tmp_path: Path) -> None:
    model = ChatModel(str(write_chat_model(tmp_path / "m", context=512)), SAMPLED)
    long = ChatPrompt((Message("user", "x" * 600),))
    short = ChatPrompt((Message("user", "x"),))
    answers = model.answer([short, long, short])
    assert "the limit is 512" in answers[1][1]
    assert (answers[0][1], answers[2][1]) == ("", "")


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


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="can run code"):
        ChatModel(str(tmp_path), SAMPLED).answer(prompts(1))


def test_code_of_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError):
        ChatModel(str(tmp_path), SAMPLED).answer(prompts(1))
