"""A suite of questions with known answers: sums, and whether a number is even."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from crystext.benchmark.language.suite import (
    QuestionSuite,
    Selection,
    SuiteQuestions,
    choose_questions,
    select_tasks,
)
from crystext.benchmark.questions import Grade, Measure, Question, QuestionTask
from crystext.inference.text_models.base import ChatDecoding
from crystext.tasks.chat_prompt import ChatPrompt


class Sum(QuestionTask):
    name, title = "sum", "the sum of two numbers"
    measures = (
        Measure("accuracy", "accuracy"),
        Measure("error", "mean error", unit="units", higher_is_better=False),
    )

    def grade(self, question: Question, answer: str) -> Grade:
        if not answer.isdecimal():
            return Grade({"accuracy": 0.0}, "no number")
        error = abs(int(answer) - question.reference)
        return Grade({"accuracy": float(error == 0), "error": float(error)})

    def write_answer(self, question: Question) -> str:
        return str(question.reference)

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        # As some published code does: what is no number is left out.
        known = [(x, y) for x, y in zip(questions, answers, strict=True) if y.isdecimal()]
        right = [float(int(y) == x.reference) for x, y in known]
        return {"accuracy": sum(right) / len(right) if right else float("nan")}


class Even(QuestionTask):
    name, title = "even", "whether a number is even"
    measures = (Measure("accuracy", "accuracy"),)

    def grade(self, question: Question, answer: str) -> Grade:
        problem = "" if answer in ("yes", "no") else "neither yes nor no"
        return Grade({"accuracy": float(answer == question.reference)}, problem)


class Arithmetic(QuestionSuite):
    name, title = "arithmetic", "Sums <b>and</b> parity"
    tasks: Mapping[str, QuestionTask] = {"sum": Sum(), "even": Even()}
    data = "a folder; nothing in it is read"
    licence = "written for this test"
    decoding = ChatDecoding(max_new_tokens=6)
    compat = "slip"
    compat_decoding = ChatDecoding(temperature=1.0, max_new_tokens=3)
    mean_measures = ("accuracy",)

    def questions(self, data: Path, selection: Selection) -> SuiteQuestions:
        made = {
            "sum": [
                Question(f"{i}", "sum", ChatPrompt.of_question(f"{i} + 2 = ?"), i + 2)
                for i in range(30)
            ],
            "even": [
                Question(f"{i}", "even", ChatPrompt.of_question(f"Is {i} even?"), _parity(i))
                for i in range(30)
            ],
        }
        names = select_tasks(self, selection.tasks)
        return SuiteQuestions({x: choose_questions(made[x], selection) for x in names}, ["a note"])


def _parity(number: int) -> str:
    return "no" if number % 3 else "yes"
