"""Chat prompts: templates of one's own, and the benchmark's words learned from its file."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from crystext.benchmark.compat_prompts import CompatPrompts
from crystext.benchmark.data import SuiteData, read_columns
from crystext.benchmark.measure import read_compat_prompts
from crystext.benchmark.suite import load_suite, select_tasks
from crystext.errors import InputError, SettingError
from crystext.predict.chat.prompts import Message, Shot, load_chat_prompts
from crystext.structures.property_schema import Property
from crystext.tasks.prompts import load_prompts

GAP = Property("band_gap", "band gap", unit="eV")
DIRECT = Property("is_gap_direct", "direct band gap", kind="boolean")


def test_examples_are_turns_before_the_question() -> None:
    prompts = load_chat_prompts()
    shots = [Shot("NaCl", 5.0), Shot("Fe", 0.0)]
    messages = prompts.render(GAP, "formula", "chemical formula", "SrTiO3", shots).messages
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [message.role for message in messages] == roles
    assert messages[2] == Message("assistant", '{"band_gap": 5}')
    assert messages[-1].content == messages[1].content.replace("NaCl", "SrTiO3")
    assert "eV" in messages[-1].content


def test_a_boolean_is_answered_in_words() -> None:
    shot = [Shot("Si", False)]
    messages = load_chat_prompts().render(DIRECT, "formula", "formula", "GaAs", shot).messages
    assert messages[2].content == '{"is_gap_direct": "no"}'


def test_all_errors_of_a_set_are_told(tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Answer {quickly}.")
    (tmp_path / "question.txt").write_text("{text}?")
    with pytest.raises(SettingError) as raised:
        load_chat_prompts(tmp_path)
    for word in ("system.txt has the placeholders ['quickly']", "question.txt", "answer.txt"):
        assert word in str(raised.value)


def test_the_sets_for_generation_and_for_chat_are_told_apart() -> None:
    with pytest.raises(SettingError, match="nor one of default"):
        load_prompts("chatt")
    with pytest.raises(SettingError, match="Did you mean 'chat'"):
        load_chat_prompts("chatt")


@pytest.fixture(scope="module")
def mp(shared_data: Path) -> Path:
    """The MP sample of LLM4Mat-Bench."""
    return shared_data / "llm4mat_mp"


@pytest.fixture(scope="module")
def learned(mp: Path) -> CompatPrompts:
    """The benchmark's prompts, from its own file."""
    suite = load_suite("llm4mat")
    return read_compat_prompts(mp / "mp_inference_prompts_data.csv", suite, mp)


def test_the_prompts_of_the_benchmark_come_out_to_the_character(
    mp: Path, learned: CompatPrompts
) -> None:
    """600 prompts: ten rows, ten properties, three inputs, without and with examples."""
    suite = load_suite("llm4mat")
    with (mp / "test.csv").open(encoding="utf-8", newline="") as file:
        csv.field_size_limit(10**9)
        test = list(csv.DictReader(file))
    with (mp / "train.csv").open(encoding="utf-8", newline="") as file:
        train = list(csv.DictReader(file))[:5]
    columns = {
        "formula": "formula_pretty",
        "description": "description",
        "cif_structure": "cif_structure",
    }
    properties = suite.datasets["mp"].properties
    names = [
        f"{x}_{kind}_{shot}_shot"
        for x in properties
        for kind in columns
        for shot in ("zero", "few")
    ]
    assert len(names) == 60
    expected = read_columns(mp / "mp_inference_prompts_data.csv", names)
    for name, spec in properties.items():
        target = Property(name, name, kind=spec.kind)
        for kind, column in columns.items():
            values = [
                x[name] == "True" if spec.kind == "boolean" else float(x[name]) for x in train
            ]
            shots = [Shot(x[column], value) for x, value in zip(train, values, strict=True)]
            for shot, examples in (("zero", []), ("few", shots)):
                found = [learned.render(target, kind, "", x[column], examples).text for x in test]
                assert found == expected[f"{name}_{kind}_{shot}_shot"]


def test_texts_are_cut_where_the_benchmark_cuts_them(learned: CompatPrompts) -> None:
    cuts = {name: template.max_words for name, template in learned.templates.items()}
    assert cuts == {
        "formula_zero_shot": None,
        "formula_few_shot": None,
        "description_zero_shot": 50,
        "description_few_shot": 10,
        "cif_structure_zero_shot": 50,
        "cif_structure_few_shot": 10,
    }


def test_a_file_of_prompts_of_other_data_is_refused(mp: Path, tmp_path: Path) -> None:
    for name in ("train.csv", "validation.csv", "mp_inference_prompts_data.csv"):
        shutil.copyfile(mp / name, tmp_path / name)
    shutil.copyfile(mp / "validation.csv", tmp_path / "test.csv")
    suite = load_suite("llm4mat")
    with pytest.raises(InputError, match="does not hold the text of that row"):
        read_compat_prompts(tmp_path / "mp_inference_prompts_data.csv", suite, tmp_path)
    with pytest.raises(InputError, match="is not a file of prompts"):
        read_compat_prompts(tmp_path / "test.csv", suite, tmp_path)


def test_examples_are_the_first_rows_with_every_property(mp: Path) -> None:
    suite = load_suite("llm4mat")
    tasks = select_tasks(suite, ["mp"])
    table = SuiteData(suite, mp, "formula", tasks).tables("mp")["train"]
    first = [record.texts["formula"] for record in table.records[:5]]
    assert first == ["Na3Bi(P2O7)2", "SrCa7Ti2Mn6O23", "LiLa4FeO8", "CaLaTiMnO6", "PmInCu2"]
