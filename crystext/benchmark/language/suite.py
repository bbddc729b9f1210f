"""Suites of questions: benchmarks of language models in words, such as `matsci-nlp`.

A suite names its tasks (`questions.QuestionTask`) and makes their questions from a folder of the
user. To add one: a file with a `QuestionSuite`, and a line in `QUESTION_SUITES`; or, from another
distribution, an entry point of the group `crystext.question_suites`. `crystext benchmark NAME
--data DIR --method chat:MODEL` then runs it; see `language.run`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crystext.benchmark.questions import Question, QuestionTask
from crystext.errors import SettingError, did_you_mean
from crystext.inference.text_models.base import ChatDecoding
from crystext.runtime.files import json_digest
from crystext.runtime.registry import Registry


@dataclass(frozen=True)
class Selection:
    """Which questions of a suite to ask."""

    tasks: Sequence[str] = ()
    """Names of tasks; none is all whose data are there."""
    n: int | None = None
    """Questions of a task at most; None is all."""
    seed: int = 0
    """Chooses which, and whatever else questions need by chance."""
    is_compat: bool = False
    """Whether to ask in the words of the published code, where these differ from ours."""
    prompts: str = ""
    """A prompt set in place of the suite's own: a folder."""


@dataclass(frozen=True)
class SuiteQuestions:
    """The questions of a suite, made from a user's data."""

    by_task: Mapping[str, Sequence[Question]]
    """(N,) questions by the name of their task, in the order of tables."""
    notes: Sequence[str] = ()
    """What a reader of the results has to know: tasks without data, questions left out."""


class QuestionSuite(ABC):
    """A benchmark that asks in words."""

    name: ClassVar[str]
    title: ClassVar[str]
    tasks: ClassVar[Mapping[str, QuestionTask]]
    """By name, in the order of tables."""
    data: ClassVar[str]
    """What the folder or file of `--data` holds, in a few words."""
    licence: ClassVar[str] = ""
    """Whose the data are, and what may be done with them, for the page of results."""
    decoding: ClassVar[ChatDecoding] = ChatDecoding(max_new_tokens=256)
    """Greedy, and long enough for an answer."""
    compat: ClassVar[str] = ""
    """Name of the published code whose scores stand beside ours, as `--compat` takes it; empty if
    there is none."""
    compat_decoding: ClassVar[ChatDecoding] = ChatDecoding()
    """How that code decodes."""
    prompts: ClassVar[str] = ""
    """Name of the shipped prompt set that asks; empty if the words come with the data."""
    mean_measures: ClassVar[Sequence[str]] = ()
    """Measures that are averaged over the tasks that have them, each task with the same weight."""
    mean_tasks: ClassVar[Sequence[str]] = ()
    """The tasks of these means; empty is all."""

    @abstractmethod
    def questions(self, data: Path, selection: Selection) -> SuiteQuestions:
        """Make the questions of the selected tasks; the same ones each time.

        Args:
            data: the user's folder or file.
            selection: which; use `select_tasks` for its names and `choose_questions` for its n.

        Raises:
            InputError: files are missing, or are something else.
            SettingError: there is no such task.
        """


def select_tasks(suite: QuestionSuite, names: Iterable[str]) -> list[str]:
    """Return names of tasks in the order of the suite; none is all.

    Raises:
        SettingError: there is no such task.
    """
    wanted = list(names)
    for name in wanted:
        if name not in suite.tasks:
            raise SettingError(
                f"the suite {suite.name} has no task {name!r}; it has {', '.join(suite.tasks)}."
                + did_you_mean(name, suite.tasks)
            )
    return [name for name in suite.tasks if not wanted or name in wanted]


def choose_questions(questions: Sequence[Question], selection: Selection) -> list[Question]:
    """Return n questions of a task in their order, chosen by the seed; all if there are fewer.

    A larger n adds questions to those of a smaller one. The first n would be those of the first
    papers of a file, which resemble each other.
    """
    if selection.n is None or selection.n >= len(questions):
        return list(questions)
    ranked = sorted(
        range(len(questions)), key=lambda i: json_digest([selection.seed, questions[i].id])
    )
    return [questions[i] for i in sorted(ranked[: selection.n])]


QUESTION_SUITES = Registry(
    "question suite",
    QuestionSuite,  # type: ignore[type-abstract]  # no member is made of the class itself
    {
        "cif-tasks": "crystext.instruct.suite:CIF_TASKS",
        "matsci-nlp": "crystext.benchmark.language.matsci_nlp:MATSCI_NLP",
        "structured-extraction": "crystext.benchmark.language.extraction:STRUCTURED_EXTRACTION",
    },
    plural="question_suites",
)
"""Suites of questions by name."""
