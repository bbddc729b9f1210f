"""MatSci-NLP: the published files become questions, and no form of an answer raises a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystext.benchmark.language.matsci_nlp import MATSCI_NLP
from crystext.benchmark.language.measure import QuestionOptions, benchmark_questions
from crystext.benchmark.language.suite import Selection
from crystext.errors import InputError, SettingError
from tests.benchmark.language.language_files import TEXT, table, write_matsci_nlp


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matsci_nlp(tmp_path_factory.mktemp("matsci") / "data")


def one(data: Path, task: str, **options: Any) -> Any:
    return MATSCI_NLP.questions(data, Selection([task], **options)).by_task[task][0]


def test_every_task_has_questions_whose_right_answers_are_right(data: Path) -> None:
    questions = MATSCI_NLP.questions(data, Selection()).by_task
    assert list(questions) == list(MATSCI_NLP.tasks)
    for name, part in questions.items():
        task = MATSCI_NLP.tasks[name]
        answers = [task.write_answer(x) or "" for x in part]
        grades = [task.grade(x, y) for x, y in zip(part, answers, strict=True)]
        assert not any(grade.problem for grade in grades)
        assert task.summarize(part, grades) == {"macro_f1": 1.0, "micro_f1": 1.0}
        assert task.compat_scores(part, answers)["micro_f1"] == 1.0
        assert len({x.id for x in part}) == len(part)


def test_words_are_given_with_their_occurrence(data: Path) -> None:
    question = one(data, "ner/sofc_token")
    assert question.context["words"] == (("Ni", 1), ("YSZ", 1), ("Ni", 2), ("700", 1), ("°C", 1))
    assert "Ni#2" in question.prompt.messages[-1].content
    spans = one(data, "ner/sc_comics")
    # As often as these characters stand in the text before: Ni stands in Ni(NO3)2, too.
    assert ("powder", 2) in spans.context["words"]
    assert spans.reference[spans.context["words"].index(("powder", 2))] == "material"
    roles = one(data, "ee/sc_comics")
    assert dict(zip(roles.context["words"], roles.reference, strict=True)) == {
        ("Co", 1): "dopant",
        ("powder", 2): "site",
    }


def test_relations_are_named_by_triggers_and_listed_once(data: Path) -> None:
    questions = MATSCI_NLP.questions(data, Selection()).by_task
    (comics,) = questions["re/sc_comics"]
    assert comics.reference == "target"
    assert '"doped" related to "powder"' in comics.prompt.messages[-1].content
    assert comics.prompt.messages[-1].content.startswith(TEXT)
    assert [x.reference for x in questions["re/structured_re"]] == ["voltage"]


def test_fuel_cell_sentences_are_asked_for_what_their_labels_say(data: Path) -> None:
    ours, theirs = (
        one(data, "sc/sofc_sent", is_compat=x).prompt.messages[-1].content for x in (False, True)
    )
    assert "experiment" in ours
    assert "experiment" not in theirs
    assert "solid oxide fuel cells" in theirs


def test_nonsense_is_worth_nothing_and_a_constant_its_share(data: Path, tmp_path: Path) -> None:
    tasks = ["pc/glass_non_glass", "ner/sofc_token"]
    answers = tmp_path / "nonsense.json"
    answers.write_text('{"pc/glass_non_glass": ["mu", "mu", "mu"], "ner/sofc_token": ["mu"]}')
    results = benchmark_questions(
        MATSCI_NLP,
        data,
        ["constant"],
        tmp_path / "out",
        QuestionOptions(Selection(tasks)),
        answers=[answers],
    )
    constant = results.task_result(tasks[0], "constant")
    assert constant is not None
    # Two of three are no: F1 of no is .8, that of yes 0.
    assert constant.measures["micro_f1"].value == pytest.approx(2 / 3)
    assert constant.measures["macro_f1"].value == pytest.approx(0.4)
    for task in tasks:
        nonsense = results.task_result(task, "nonsense")
        assert nonsense is not None
        assert nonsense.n_valid == 0
        assert nonsense.measures["micro_f1"].value == 0
        assert nonsense.measures["macro_f1"].value == 0
    # The published code takes "mu" for the label that is least far: no.
    first = results.task_result(tasks[0], "nonsense")
    assert first is not None
    assert first.compat["micro_f1"] == pytest.approx(2 / 3)
    # Means are over the ten pairs that are published.
    mean = results.mean("macro_f1", "nonsense")
    assert mean is not None
    assert (mean.n_tasks, mean.n_tasks_of_suite) == (2, 10)
    page = (tmp_path / "out" / "report.html").read_text()
    for words in ("LLaMat-2-chat", "0.887", "states no licence", "(llamat)"):
        assert words in page


@pytest.mark.parametrize(
    ("stem", "content", "message"),
    [
        ("sofc_sent", "{", "cannot be read"),
        ("sofc_sent", table(["sents", "labels"], [["a", 1]]), "no column 'sent_labels'"),
        ("sofc_sent", table(["sents", "sent_labels"], [["a", 2]]), "row r0: expected a text"),
        ("sofc_token", table(["tokens", "token_labels"], [[["a"], []]]), "as many tokens"),
        ("matscholar", table(["tokens", "labels"], [["a", ["O"]]]), "labels by word"),
        ("sc_comics", [], "expected a list of objects"),
        ("sc_comics", {"data": [{"text": "a", "t_type_dict": {}}]}, "object t_span_dict"),
        ("structured_re", '{"id": 1}', "expected an object with id, sentText"),
        ("synthesis_actions", [{"annotations": [{"token": "a"}]}], "token and tag"),
        ("glass_non_glass", [1], "is not a table"),
    ],
)
def test_a_file_with_errors_is_one_message(
    tmp_path: Path, stem: str, content: Any, message: str
) -> None:
    data = write_matsci_nlp(tmp_path / "data", **{stem: content})
    with pytest.raises(InputError, match=message) as raised:
        MATSCI_NLP.questions(data, Selection())
    assert stem in str(raised.value)


def test_missing_files_are_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "sofc_sent.json").write_bytes((data / "sofc_sent.json").read_bytes())
    questions = MATSCI_NLP.questions(tmp_path, Selection())
    assert list(questions.by_task) == ["sc/sofc_sent"]
    assert "matscholar.json" in questions.notes[0]
    with pytest.raises(InputError, match=r"lacks sofc_token\.json"):
        MATSCI_NLP.questions(tmp_path, Selection(["sf/sofc_token"]))
    with pytest.raises(InputError, match=r"plain or as NAME\.gz"):
        MATSCI_NLP.questions(tmp_path / "nothing", Selection())


def test_a_user_brings_other_words(data: Path, tmp_path: Path, root: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for path in (root / "prompts" / "matsci-nlp").glob("*.txt"):
        (prompts / path.name).write_text(path.read_text())
    (prompts / "glass.txt").write_text("Glass? {text} {'yes': ' '}")
    question = one(data, "pc/glass_non_glass", prompts=str(prompts))
    assert question.prompt.messages[-1].content == "Glass? A borate glass. {'yes': ' '}"
    (prompts / "glass.txt").write_text("Glass?")
    (prompts / "roles.txt").unlink()
    with pytest.raises(SettingError, match=r"(?s)roles.txt.*glass.txt has the placeholders"):
        one(data, "pc/glass_non_glass", prompts=str(prompts))


def test_the_published_fuel_cell_files_are_read(shared_data: Path, tmp_path: Path) -> None:
    for name in ("sofc_sent", "sofc_token"):
        source = shared_data / "nlp" / f"matscinlp_{name}.json.gz"
        (tmp_path / f"{name}.json.gz").symlink_to(source)
    questions = MATSCI_NLP.questions(tmp_path, Selection()).by_task
    assert {name: len(part) for name, part in questions.items()} == {
        "ner/sofc_token": 876,
        "sf/sofc_token": 876,
        "sc/sofc_sent": 9466,
    }
    # A third of the sentences repeat a word with different labels.
    labels = questions["ner/sofc_token"][0].context["labels"]
    assert {x for q in questions["ner/sofc_token"] for x in q.reference} == set(labels)
    task = MATSCI_NLP.tasks["ner/sofc_token"]
    part = questions["ner/sofc_token"][:100]
    answers = [task.write_answer(x) or "" for x in part]
    grades = [task.grade(x, y) for x, y in zip(part, answers, strict=True)]
    assert task.summarize(part, grades)["micro_f1"] == 1.0
    # The published code lets repeated words collapse, and loses words with a colon.
    assert task.compat_scores(part, answers)["micro_f1"] == 1.0
