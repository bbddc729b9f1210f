"""What answers the questions of a suite: what `--method` and `--answers` name.

    chat:SOURCE          a model: a folder, OWNER/NAME, or the address of a service
    oracle               the right answers, written out: 1 in every rate, or the task is wrong
    constant             the same answer to all questions of a task: what no reading gives
    answers of a file    what another program or service answered

A model that is no better than `constant` has not read the questions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crystext.benchmark.entries import RawAnswer, read_answers
from crystext.benchmark.questions import Question, QuestionTask
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.inference.text_models.open import CHAT_PREFIX, open_text_model
from crystext.runtime.files import file_digest

BASELINES = ("oracle", "constant")

NO_ANSWER = "no answer"
"""Why a question without an answer in a file has no grade above 0."""


class Respondent(ABC):
    """Something that answers questions."""

    label: str
    """Its name in results; unique in a run."""
    title: str
    questions_at_once: int = 1024
    """Answers are written after so many questions: what a kill can cost."""

    @abstractmethod
    def identity(self) -> Any:
        """Return what its answers depend on besides the questions, as JSON."""

    @abstractmethod
    def answer(self, task: QuestionTask, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Return the answer to each question and an empty text, or no answer and the reason.

        Raises:
            ModelError: a model is missing, or cannot be reached.
        """

    def prepare(self, task: QuestionTask, questions: Sequence[Question]) -> None:  # noqa: B027
        """Look at all questions of a task before some are asked; by default, do nothing.

        Raises:
            InputError: it cannot answer this task.
        """


class ModelRespondent(Respondent):
    """A model that is asked."""

    def __init__(self, model: TextModel) -> None:
        """Take a model; it is loaded when it first answers."""
        self.model = model
        self.label = CHAT_PREFIX + model.name
        self.title = f"{model.name}, zero-shot"
        self.questions_at_once = model.prompts_at_once

    def identity(self) -> Any:
        """Return what the model's answers depend on."""
        return self.model.identity()

    def answer(self, task: QuestionTask, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Ask the model."""
        return self.model.answer([question.prompt for question in questions])


class OracleRespondent(Respondent):
    """Answers what is right."""

    label, title = "oracle", "the right answers, written out"

    def identity(self) -> Any:
        """Return the name: the answers belong to the questions."""
        return self.label

    def prepare(self, task: QuestionTask, questions: Sequence[Question]) -> None:
        """Refuse a task whose questions have no answer that can be written."""
        if all(task.write_answer(question) is None for question in questions):
            raise InputError(f"{task.name}: no single answer is right, so that none is written out")

    def answer(self, task: QuestionTask, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Return the right answers."""
        written = [task.write_answer(question) for question in questions]
        return [(x, "") if x is not None else ("", NO_ANSWER) for x in written]


class ConstantRespondent(Respondent):
    """Answers every question of a task with the most frequent right answer."""

    label, title = "constant", "the most frequent right answer of a task, to all its questions"

    def __init__(self) -> None:
        """Know no answer yet."""
        self._answers: dict[str, str] = {}

    def identity(self) -> Any:
        """Return the name: the answer belongs to the questions."""
        return self.label

    def prepare(self, task: QuestionTask, questions: Sequence[Question]) -> None:
        """Find the most frequent right answer; among equals, the first."""
        written = [task.write_answer(question) for question in questions]
        counts = Counter(x for x in written if x is not None)
        if not counts:
            raise InputError(f"{task.name}: no single answer is right, so that none is frequent")
        self._answers[task.name] = counts.most_common(1)[0][0]

    def answer(self, task: QuestionTask, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Return the same answer to all."""
        return [(self._answers[task.name], "")] * len(questions)


class FileRespondent(Respondent):
    """Answers that another program wrote."""

    def __init__(self, path: Path) -> None:
        """Read the answers.

        Raises:
            InputError: the file holds none.
        """
        self.path, self.answers = path, read_answers(path)
        self.label, self.title = path.stem, f"answers of {path.name}"
        self._by_id: dict[str, Mapping[str, str]] = {}

    def identity(self) -> Any:
        """Return the digest of the file."""
        return file_digest(self.path)

    def prepare(self, task: QuestionTask, questions: Sequence[Question]) -> None:
        """Find the answers to a task: by ids, or in the order of the questions.

        Raises:
            InputError: there are none, or their number fits neither ids nor questions.
        """
        mine = [x for x in self.answers if x.task in (None, task.name)]
        if not mine:
            named = sorted({x.task for x in self.answers if x.task})
            raise InputError(f"{self.path} has no answers to {task.name}; it has {named}")
        self._by_id[task.name] = self._by_question(task.name, mine, questions)

    def _by_question(
        self, task: str, answers: Sequence[RawAnswer], questions: Sequence[Question]
    ) -> Mapping[str, str]:
        if all(x.id is not None for x in answers):
            by_id = {str(x.id): x.answer for x in answers}
            if not any(question.id in by_id for question in questions):
                raise InputError(
                    f"{self.path}: no id of an answer is that of a question of {task}, such as "
                    f"{questions[0].id!r}; the first answer is to {answers[0].id!r}"
                )
            return by_id
        if len(answers) == len(questions):
            return {x.id: y.answer for x, y in zip(questions, answers, strict=True)}
        raise InputError(
            f"{self.path} has {len(answers):,} answers without ids to {task}, which has "
            f"{len(questions):,} questions; expected one for each, in their order"
        )

    def answer(self, task: QuestionTask, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Return the answers by the ids of the questions."""
        by_id = self._by_id[task.name]
        return [(by_id[x.id], "") if x.id in by_id else ("", NO_ANSWER) for x in questions]


def open_respondents(
    methods: Sequence[str], answers: Sequence[Path], decoding: ChatDecoding, seed: int
) -> list[Respondent]:
    """Return what methods and files name.

    Raises:
        SettingError: a method is unknown, or two have one name.
        InputError: a file of answers cannot be read.
    """
    if not methods and not answers:
        raise SettingError(
            f"no method is given; name one with --method ({CHAT_PREFIX}MODEL, "
            f"{', '.join(BASELINES)}), or a file with --answers"
        )
    opened = [_respondent(name, decoding, seed) for name in methods]
    opened += [FileRespondent(path) for path in answers]
    labels = [x.label for x in opened]
    if repeated := sorted({x for x in labels if labels.count(x) > 1}):
        raise SettingError(
            f"{repeated[0]!r} is given twice; rename the file or folder, or leave one out"
        )
    return opened


def _respondent(name: str, decoding: ChatDecoding, seed: int) -> Respondent:
    if name.startswith(CHAT_PREFIX):
        source = name.removeprefix(CHAT_PREFIX)
        return ModelRespondent(open_text_model(source, decoding, seed=seed))
    if name == "oracle":
        return OracleRespondent()
    if name == "constant":
        return ConstantRespondent()
    raise SettingError(
        f"{name!r} answers no questions; there are {CHAT_PREFIX}MODEL for a model (a folder, "
        f"OWNER/NAME or the address of a service), and the baselines {', '.join(BASELINES)}."
        + did_you_mean(name, [*BASELINES, CHAT_PREFIX + name])
    )
