"""The interface of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crystext.structures.record import Record
from crystext.tasks.prompts import PromptSet
from crystext.text import Format


class Example(NamedTuple):
    """One thing to learn: what is given, and what is to follow it."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Task:
    """A kind of example."""

    name: str
    make: Callable[[Record, PromptSet, Format, np.random.Generator], Example]
    """Makes an example in a format: the task's own where it has one, or else the model's.

    The record's crystal is already augmented and in text order."""
    format: Format | None = None
    """The format that the task teaches; None: the model's own, which a recipe gives."""
