"""The interface of a task: how to make an example from a record, and how to score an answer.

To add a task: one file here with a `Task` and one line in `TASKS`; or, from another distribution,
an entry point of the group `crystext.tasks`. Training, validation and benchmarks use any task
through this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from crystext.structures.record import Record
from crystext.tasks.prompts import PromptSet
from crystext.text import PLAIN, Format


class Example(NamedTuple):
    """A prompt and its completion, with the data for scoring an answer."""

    prompt: str
    completion: str
    format: Format = PLAIN
    """Format of the crystal that the prompt or the completion holds."""
    partial_text: str = ""
    """The incomplete crystal that the prompt shows, with the default marks of `text.partial`; empty
    if the completion does not hold its lines."""
    further_questions: tuple[tuple[str, str], ...] = ()
    """Further questions on the same prompt, each with its answer. The prompt ends with the question
    that the completion answers; every answer, the completion included, is then a single token, and
    no question sees the answers before it."""


@dataclass(frozen=True)
class Task(ABC):
    """A kind of example for training and scoring."""

    name: str
    """Its name in recipes."""
    format: Format | None = None
    """The format that the task teaches; None is the model's own, set by a recipe."""

    measures: ClassVar[tuple[str, ...]]
    """Names of what `score` returns."""
    needs_crystal: ClassVar[bool] = True
    """Whether a record without a crystal gives no example."""

    @property
    def needs_wyckoff(self) -> bool:
        """Whether examples need or prefer `Record.wyckoff`."""
        return self.format is not None and self.format.needs_wyckoff

    @abstractmethod
    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example | None:
        """Make an example from a record; None if the record lacks what the task needs.

        Args:
            record: its crystal is already augmented and in text order.
            prompts: the words.
            fmt: `format` of this task, or else the model's own.
            rng: the only source of randomness, so that examples are reproducible.
        """

    @abstractmethod
    def score(self, example: Example, answer: str) -> Mapping[str, float]:
        """Score a model's answer to an example by all `measures`; never raises.

        Rates are 1 for correct and 0 for wrong, so that their mean over examples is a proportion.
        An invalid answer scores 0 in all of them: it stays in the denominator.

        Args:
            example: the prompt that was answered. If only the completion defines the correct
                answer, it must be the one that `make` returned.
            answer: the whole text after the prompt; empty if the model did not end it.
        """
