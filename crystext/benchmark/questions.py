"""Questions with right answers: what a benchmark of a language model in words asks and grades.

A task makes questions elsewhere; here is what a benchmark has to know of it: how an answer is
graded, and how the grades of all answers become figures. An answer that cannot be read is wrong and
is counted; it is never left out of a rate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from crystext.tasks.chat_prompt import ChatPrompt


@dataclass(frozen=True)
class Question:
    """A prompt with what is needed to grade an answer to it."""

    id: str
    """Unique in its task, and the same whenever the questions are made again."""
    task: str
    prompt: ChatPrompt
    reference: Any
    """The right answer, as JSON holds it."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What else grading needs, as JSON holds it: the crystal, the conditions."""


@dataclass(frozen=True)
class Measure:
    """A figure of a task."""

    name: str
    title: str
    unit: str = ""
    """Empty for rates from 0 to 1."""
    higher_is_better: bool = True


@dataclass(frozen=True)
class Grade:
    """How good one answer is."""

    values: Mapping[str, float]
    """By the names of the task's measures that a single answer has. Rates are 1 for right and 0 for
    wrong or invalid; an error of an invalid answer is nan."""
    problem: str = ""
    """Why the answer is invalid, in a sentence; empty if it could be read."""


class QuestionTask(ABC):
    """A kind of question."""

    name: ClassVar[str]
    title: ClassVar[str]
    measures: ClassVar[tuple[Measure, ...]]
    """The first is the one that tables show; it counts invalid answers as wrong."""

    @abstractmethod
    def grade(self, question: Question, answer: str) -> Grade:
        """Grade an answer; never raises for its content."""

    def write_answer(self, question: Question) -> str | None:
        """Return the right answer as an answer in words, which `grade` finds right.

        The baseline `oracle` answers so: where it does not score 1, questions or grades are wrong.
        By default the reference, if it is a text; None where no single answer is right.
        """
        return question.reference if isinstance(question.reference, str) else None

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return each measure over N answers; by default the means of what is not nan.

        A measure that is no mean, such as a balanced accuracy or a macro F1, overrides this.
        Bootstrap intervals call it on resampled answers.
        """
        means = {}
        for measure in self.measures:
            values = [grade.values.get(measure.name, math.nan) for grade in grades]
            known = [value for value in values if not math.isnan(value)]
            means[measure.name] = sum(known) / len(known) if known else math.nan
        return means

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the scores as the published code computes them, by name; empty if it has none.

        Args:
            questions: all of the task.
            answers: one for each; empty where there is none.
        """
        return {}
