"""The interface of a task: how an example is made of a record, and how an answer to it is scored.

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
    """A prompt and its completion, with what scoring an answer needs."""

    prompt: str
    completion: str
    format: Format = PLAIN
    """Format of the crystal that the prompt or the completion holds."""
    partial_text: str = ""
    """The incomplete crystal that the prompt shows, with the default marks of `text.partial`; empty
    where its lines are not what the completion holds."""


@dataclass(frozen=True)
class Task(ABC):
    """A kind of example that a model learns from and is scored by."""

    name: str
    """As recipes name it."""
    format: Format | None = None
    """The format that the task teaches; None: the model's own, which a recipe gives."""

    measures: ClassVar[tuple[str, ...]]
    """Names of what `score` returns."""

    @abstractmethod
    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Make an example of a record.

        Args:
            record: its crystal is already augmented and in text order.
            prompts: the words.
            fmt: `format` of this task, or else the model's own.
            rng: the only source of randomness, so that the same example can be made again.
        """

    @abstractmethod
    def score(self, example: Example, answer: str) -> Mapping[str, float]:
        """Score a model's answer to an example by every one of `measures`; never raises.

        Rates are 1 for right and 0 for wrong, so that their mean over examples is a proportion. An
        answer that cannot be read scores 0 in all of them: it stays in the denominator.

        Args:
            example: the prompt that was answered. Where only the completion tells what is right,
                it must be the one that `make` returned.
            answer: the whole text behind the prompt; empty where the model did not end it.
        """
