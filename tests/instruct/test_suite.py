"""The suite `cif-tasks`: questions of a set, answered by baselines in a benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.benchmark.language.entries import ConstantRespondent, OracleRespondent, Respondent
from crystext.benchmark.language.run import QuestionRun, QuestionUnit
from crystext.benchmark.language.suite import QUESTION_SUITES, Selection
from crystext.errors import InputError, SettingError
from crystext.instruct.build import BuildSettings, build
from crystext.instruct.suite import CIF_TASKS
from crystext.io.write import write_crystals
from tests.instructions import records


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    entries = [(x.name, x.require_crystal()) for x in records()[:20]]
    write_crystals(entries, folder / "crystals.csv", "csv")
    settings = BuildSettings(split="0.5/0/0.5")
    build(str(folder / "crystals.csv"), folder / "set", settings, workers=1)
    return folder / "set"


def first_measures(data: Path, respondent: Respondent, out: Path) -> dict[str, float]:
    selection = Selection()
    run = QuestionRun(CIF_TASKS, CIF_TASKS.questions(data, selection), [respondent], out, selection)
    scores = {}
    for unit in run.run(lambda *_: None):
        assert isinstance(unit, QuestionUnit), unit
        pairs = zip(unit.questions, unit.answers, strict=True)
        grades = [unit.task.grade(question, answer.answer) for question, answer in pairs]
        measures = unit.task.summarize(unit.questions, grades)
        scores[unit.task.name] = measures[unit.task.measures[0].name]
    return scores


def test_the_suite_is_found_by_its_name() -> None:
    assert QUESTION_SUITES["cif-tasks"] is CIF_TASKS


def test_the_oracle_scores_one_in_every_task_and_a_constant_answer_less(
    data: Path, tmp_path: Path
) -> None:
    oracle = first_measures(data, OracleRespondent(), tmp_path / "oracle")
    assert len(oracle) == 13
    assert set(oracle.values()) == {1.0}
    constant = first_measures(data, ConstantRespondent(), tmp_path / "constant")
    assert constant["same_atom"] == 0.5
    assert max(constant.values()) < 1.0


def test_the_test_part_is_asked_and_any_file_by_its_path(data: Path) -> None:
    asked = CIF_TASKS.questions(data, Selection(tasks=["atom_count"]))
    assert len(asked.by_task["atom_count"]) == 10
    assert not asked.notes
    train = CIF_TASKS.questions(data / "train.jsonl", Selection(tasks=["atom_count"], n=3))
    assert len(train.by_task["atom_count"]) == 3
    assert "may have been trained" in train.notes[0]
    assert not CIF_TASKS.questions(data, Selection()).notes
    copying = CIF_TASKS.questions(data, Selection(tasks=["atom_count", "cell_volume_copy"]))
    assert copying.notes == ["test.jsonl has no questions of cell_volume_copy"]


def test_data_without_such_questions_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Did you mean 'text_volume'"):
        CIF_TASKS.questions(data, Selection(tasks=["text_volum"]))
    with pytest.raises(InputError, match="has no question of cell_volume_copy"):
        CIF_TASKS.questions(data, Selection(tasks=["cell_volume_copy"]))
    line = (data / "test.jsonl").read_text().splitlines()[0].replace("atom_count", "own_task")
    (tmp_path / "own.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match="Is a plugin missing"):
        CIF_TASKS.questions(tmp_path / "own.jsonl", Selection())
    with pytest.raises(InputError, match="no file or folder"):
        CIF_TASKS.questions(tmp_path / "missing", Selection())
