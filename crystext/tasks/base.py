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
    """Makes an example of a record whose crystal is already augmented and in text order."""
    needs_wyckoff: bool = False
    """Whether the task needs the record's `wyckoff`; crystals that have none are left out."""
