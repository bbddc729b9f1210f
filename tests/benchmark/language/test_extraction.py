"""Structured extraction: whole names, entries one to one, and every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crystext.benchmark.language.compat_extraction import doping_scores, entry_scores
from crystext.benchmark.language.extraction import STRUCTURED_EXTRACTION
from crystext.benchmark.language.measure import benchmark_questions
from crystext.benchmark.language.suite import Selection
from crystext.benchmark.questions import Question
from crystext.errors import InputError
from tests.benchmark.language.language_files import (
    DOPING,
    FRAMEWORK,
    MATERIAL,
    OTHER,
    write_extraction,
)

TASKS = STRUCTURED_EXTRACTION.tasks


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_extraction(tmp_path_factory.mktemp("extraction") / "data")


def questions(data: Path, task: str, **options: Any) -> list[Question]:
    return list(STRUCTURED_EXTRACTION.questions(data, Selection([task], **options)).by_task[task])


def scores(asked: list[Question], answers: list[str]) -> dict[str, float]:
    task = TASKS[asked[0].task]
    grades = [task.grade(x, y) for x, y in zip(asked, answers, strict=True)]
    return dict(task.summarize(asked, grades))


@pytest.mark.parametrize("task", TASKS)
def test_right_answers_are_right_in_any_order_and_form(data: Path, task: str) -> None:
    asked = questions(data, task)
    answers = [TASKS[task].write_answer(x) or "" for x in asked]
    assert scores(asked, answers)["micro_f1"] == 1
    assert scores(asked, answers)["exact"] == 1
    fenced = [f"Here it is:\n```json\n{json.dumps(json.loads(x), indent=1)}\n```" for x in answers]
    assert scores(asked, fenced)["exact"] == 1
    turned = [json.dumps(y[::-1] if isinstance(y := json.loads(x), list) else y) for x in answers]
    assert scores(asked, turned)["exact"] == 1


def test_texts_are_found_in_the_published_questions_which_compat_asks(data: Path) -> None:
    (first, second) = (x.prompt.messages[-1].content for x in questions(data, "mof1"))
    assert first.startswith("Gold on ceria\nIt works.\n\nList the materials")
    assert second.startswith("No materials\nA model.\n\nList the materials")
    (sentence, _) = questions(data, "doping")
    assert sentence.prompt.messages[-1].content.startswith(DOPING[0][0] + "\n\n")
    (published, _) = questions(data, "doping", is_compat=True)
    assert published.prompt.messages[0].content == "You are an expert."
    assert published.prompt.messages[1].content.endswith("Extract doping information from this "
                                                         "sentence.")  # fmt: skip


def test_identifiers_are_free_and_names_are_whole(data: Path) -> None:
    asked = questions(data, "doping")[:1]
    other = {
        "basemats": {"x": "zno", "y": "ZnO  films"},
        "dopants": {"1": "Al", "2": "Mg"},
        "dopants2basemats": {"1": ["y"], "2": "x"},
    }
    assert scores(asked, [json.dumps(other)])["exact"] == 1
    half = {**other, "basemats": {"x": "ZnO", "y": "films"}}
    found = scores(asked, [json.dumps(half)])
    assert found["basemats_f1"] == pytest.approx(0.5)
    assert found["links_f1"] == pytest.approx(0.5)
    unknown = {**other, "dopants2basemats": {"1": ["nowhere"], "2": ["x"]}}
    assert scores(asked, [json.dumps(unknown)])["links_f1"] == pytest.approx(0.5)


def test_what_is_made_up_where_nothing_is_doped_costs(data: Path) -> None:
    asked = questions(data, "doping")
    right, empty = (json.dumps(answer) for _, answer in DOPING)
    assert scores(asked, [right, empty])["micro_f1"] == 1
    made_up = scores(asked, [right, right])
    assert made_up["micro_f1"] == pytest.approx(2 * 6 / (2 * 6 + 6))
    assert made_up["exact"] == 0.5
    # The published code leaves such rows out: it finds nothing wrong.
    assert TASKS["doping"].compat_scores(asked, [right, right])["dopants_f1"] == 1


@pytest.mark.parametrize("answer", ["", "none", "[]", '{"basemats": 3}', '{"basemats": {"b0": "Zn'])
def test_answers_that_cannot_be_read_are_wrong_and_counted(data: Path, answer: str) -> None:
    asked = questions(data, "doping")
    task = TASKS["doping"]
    for question in asked:
        grade = task.grade(question, answer)
        assert grade.problem
        assert grade.values["exact"] == 0
        assert task.summarize([question], [grade])["micro_f1"] == 0


def test_a_description_has_to_stand_by_its_material(data: Path) -> None:
    asked = questions(data, "mof1")[:1]
    swapped = [
        {**MATERIAL, "description": OTHER["description"]},
        {**OTHER, "description": MATERIAL["description"]},
    ]
    found = scores(asked, [json.dumps(swapped)])
    assert found["description_f1"] == 0
    assert found["formula_f1"] == found["applications_f1"] == 1
    assert found["exact"] == 0
    # As one set of words, everything is right.
    assert TASKS["mof1"].compat_scores(asked, [json.dumps(swapped)])["description_f1"] == 1


def test_entries_are_matched_so_that_most_is_shared(data: Path) -> None:
    asked = questions(data, "mof1")[:1]
    third = {**MATERIAL, "name": "silver", "formula": "Ag"}
    found = scores(asked, [json.dumps([third, OTHER, MATERIAL])])
    items = 5 + 4
    assert found["micro_f1"] == pytest.approx(2 * items / (2 * items + 5))
    assert scores(asked, [json.dumps(MATERIAL)])["micro_f1"] == pytest.approx(2 * 5 / (2 * 5 + 4))


def test_a_constant_answer_is_at_the_floor(data: Path, tmp_path: Path) -> None:
    results = benchmark_questions(STRUCTURED_EXTRACTION, data, ["oracle", "constant"], tmp_path)
    for name in TASKS:
        oracle = results.task_result(name, "oracle")
        assert oracle is not None
        assert oracle.measures["micro_f1"].value == 1
        assert oracle.compat["exact"] == 1
    constant = results.task_result("doping", "constant")
    assert constant is not None
    # The first of equally frequent answers: right once, made up once.
    assert constant.measures["exact"].value == 0.5


class TestPublishedCode:
    """The quirks of LLaMat's scoring, each in words."""

    def test_half_of_a_name_is_half_right(self) -> None:
        right = {"basemats": {"b0": "ZnO films"}, "dopants": {}, "dopants2basemats": {}}
        given = {**right, "basemats": {"b0": "thin films"}}
        assert doping_scores([(right, str(given))])["basemats_f1"] == pytest.approx(0.5)

    def test_answers_that_cannot_be_read_are_left_out(self) -> None:
        right = DOPING[0][1]
        assert doping_scores([(right, str(right)), (right, "broken")])["exact"] == 1
        rows = [([MATERIAL], json.dumps([MATERIAL])), ([MATERIAL], "broken")]
        fields = ("formula", "name", "description")
        kept = entry_scores(rows, fields, "formula", drops_unreadable=True)
        assert kept["formula_f1"] == 1
        # On frameworks they count as empty.
        counted = entry_scores(rows, fields, "formula", drops_unreadable=False)
        assert counted["formula_f1"] == pytest.approx(2 / 3)

    def test_an_apostrophe_makes_an_answer_unreadable(self) -> None:
        row = {**MATERIAL, "description": ["Wood's metal"]}
        rows = [([row], json.dumps([row])), ([MATERIAL], json.dumps([MATERIAL]))]
        found = entry_scores(rows, ("formula", "description"), "formula", drops_unreadable=True)
        assert found["description_f1"] == 1
        assert found["exact"] == 0  # Only the second is read, and it lacks fields of the file's.

    def test_links_go_from_the_whole_formula_to_words(self) -> None:
        right = [{"formula": "Au C", "name": "gold leaf"}]
        given = [{"formula": "Au", "name": "gold leaf"}]
        found = entry_scores(
            [(right, json.dumps(given))], ("formula", "name"), "formula", drops_unreadable=True
        )
        assert found["name_f1"] == 1
        assert found["formula_f1"] == pytest.approx(2 / 3)
        assert found["link_name_f1"] == 0

    def test_frameworks_without_right_answers_do_not_count(self) -> None:
        rows: list[tuple[Any, str]] = [([], json.dumps([FRAMEWORK]))]
        found = entry_scores(rows, tuple(FRAMEWORK), "name_of_mof", drops_unreadable=False)
        assert all(value != value for value in found.values())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "doping_test.jsonl, line 1 cannot be read"),
        ('{"question": "a"}', "expected an object with system, question, answer"),
        ('{"system": "", "question": "a", "answer": "{"}', "question 1: its answer is not one of"),
        ('{"system": "", "question": "a", "answer": []}', "JSON that is no object"),
    ],
)
def test_a_file_with_errors_is_one_message(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "doping_test.jsonl").write_text(line)
    with pytest.raises(InputError, match=message):
        STRUCTURED_EXTRACTION.questions(tmp_path, Selection())


def test_the_published_files_are_read(shared_data: Path, tmp_path: Path) -> None:
    for name in TASKS:
        source = shared_data / "nlp" / f"llamat_{name}_test.jsonl.gz"
        (tmp_path / f"{name}_test.jsonl.gz").symlink_to(source)
    for name, count in {"doping": 232, "mof1": 62, "mof2": 51}.items():
        asked = questions(tmp_path, name)
        assert len(asked) == count
        answers = [TASKS[name].write_answer(x) or "" for x in asked]
        assert scores(asked, answers)["exact"] == 1
        texts = [x.prompt.messages[-1].content for x in asked]
        assert not any("Extract doping" in x or "elaborated" in x for x in texts)
    # 169 of 232 rows on doping have nothing to say: constant silence is right there.
    silent = ['{"basemats": {}, "dopants": {}, "dopants2basemats": {}}'] * 232
    asked = questions(tmp_path, "doping")
    assert scores(asked, silent)["exact"] == pytest.approx(169 / 232)
    assert scores(asked, silent)["micro_f1"] == 0
