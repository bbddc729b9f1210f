"""Answers that label texts and words: what is a label, and what published code makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from crystext.benchmark.language.compat import nearest_label, pair_scores, word_pairs
from crystext.benchmark.language.label_tasks import (
    TextLabelTask,
    WordLabelTask,
    named_label,
    number_words,
    read_word_labels,
)
from crystext.benchmark.questions import Question
from crystext.tasks.chat_prompt import ChatPrompt

LABELS = ["material", "value", "b-device"]
WORDS = ["Ni", "Ni#2", "a:b", "700"]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("yes", "yes"),
        ("**No.**", "no"),
        ("The answer is yes, since it is a glass.", "yes"),
        ("Yes or no", ""),
        ("eyes", ""),
        ("", ""),
    ],
)
def test_a_label_is_named_once_or_not_at_all(answer: str, label: str) -> None:
    named, problem = named_label(answer, ["yes", "no"])
    assert named == label
    assert bool(problem) == (not label)


def test_a_label_within_a_longer_one_is_not_named() -> None:
    assert named_label("not glass", ["glass", "not glass"])[0] == "not glass"


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        ("Ni: material\nNi#2: value", {"Ni": "material", "Ni#2": "value"}),
        ("- `Ni`: **Material**\n* 700 : VALUE.", {"Ni": "material", "700": "value"}),
        ("a:b: material", {"a:b": "material"}),
        ("Ni: material\nNi: value\n700: value", {"700": "value"}),
        ("Ni: material\nNi: material", {"Ni": "material"}),
        ("ni: metal\nCo: material\nnothing", {}),
    ],
)
def test_lines_label_words(answer: str, given: dict[str, str]) -> None:
    labels, problem = read_word_labels(answer, WORDS, LABELS)
    assert labels == given
    assert bool(problem) == (not given)


@settings(max_examples=40)
@given(st.text())
def test_no_answer_is_an_error(answer: str) -> None:
    labels, _ = read_word_labels(answer, WORDS, LABELS)
    assert set(labels) <= set(WORDS)
    assert set(labels.values()) <= set(LABELS)
    assert named_label(answer, LABELS)[0] in ("", *LABELS)


def question(words: list[str], reference: list[str]) -> Question:
    context = {"words": number_words(words), "labels": LABELS}
    return Question("0", "t", ChatPrompt.of_question("?"), reference, context)


def test_words_that_are_not_named_are_wrong_and_repeated_ones_count_twice() -> None:
    task = WordLabelTask("t", "a task")
    asked = question(["Ni", "Ni", "700"], ["material", "value", "value"])
    grade = task.grade(asked, "Ni: material\nNi#2: material")
    assert task.summarize([asked], [grade])["micro_f1"] == pytest.approx(1 / 3)
    assert not grade.problem
    invalid = task.grade(asked, "I cannot tell.")
    assert invalid.problem
    assert task.summarize([asked], [invalid])["micro_f1"] == 0


def test_the_micro_f1_of_words_is_their_accuracy() -> None:
    task = WordLabelTask("t", "a task")
    asked = question(["a", "b", "c", "d"], ["material", "material", "value", "b-device"])
    answers = ["a: material\nb: value\nc: value\nd: material", "a: value", "nonsense"]
    for answer in answers:
        given, _ = read_word_labels(answer, ["a", "b", "c", "d"], LABELS)
        right = sum(given.get(w) == x for w, x in zip("abcd", asked.reference, strict=True))
        grade = task.grade(asked, answer)
        assert task.summarize([asked], [grade])["micro_f1"] == pytest.approx(right / 4)


class TestPublishedCode:
    """The quirks of LLaMat's scoring, each in words."""

    def test_nonsense_becomes_the_nearest_label(self) -> None:
        assert nearest_label("I would say so", ["yes", "no"]) == "yes"
        assert nearest_label("", ["yes", "no"]) == "no"
        assert nearest_label("coulombicefficiency", ["capacity", "coulombic efficiency"]) == (
            "coulombic efficiency"
        )

    def test_repeated_words_collapse_into_the_last(self) -> None:
        pairs = word_pairs(["Ni", "Ni"], ["material", "value"], "Ni: value", LABELS)
        assert pairs == [("value", "value")]

    def test_our_numbers_of_occurrences_are_taken_off_first(self) -> None:
        asked = question(["Ni", "Ni"], ["material", "value"])
        task = WordLabelTask("t", "a task")
        right = task.write_answer(asked)
        assert right == "Ni: material\nNi#2: value"
        assert task.compat_scores([asked], [right])["micro_f1"] == 1.0

    def test_a_word_with_a_colon_is_lost_and_one_that_is_not_named_costs_no_precision(self) -> None:
        pairs = word_pairs(["a:b", "c"], ["value", "value"], "a:b: value", LABELS)
        assert pairs == [("value", "O"), ("value", "O")]

    def test_empty_answers_are_dropped_with_their_questions(self) -> None:
        task = TextLabelTask("t", "a task")
        asked = [
            Question(str(i), "t", ChatPrompt.of_question("?"), "yes", {"labels": ["yes", "no"]})
            for i in range(2)
        ]
        assert task.compat_scores(asked, ["yes", ""])["micro_f1"] == 1.0
        grades = [task.grade(x, y) for x, y in zip(asked, ["yes", ""], strict=True)]
        assert task.summarize(asked, grades)["micro_f1"] == 0.5

    @settings(max_examples=15)
    @given(st.lists(st.tuples(st.sampled_from("abO"), st.sampled_from("abcO")), min_size=1))
    def test_macro_and_micro_f1_are_those_of_scikit_learn(self, pairs) -> None:
        labels = ["a", "b", "c"]
        right, predicted = zip(*pairs, strict=True)
        scores = pair_scores(pairs, labels)
        for average in ("macro", "micro"):
            expected = f1_score(right, predicted, average=average, labels=labels, zero_division=0)
            assert scores[f"{average}_f1"] == pytest.approx(expected)
