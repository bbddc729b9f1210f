"""The interface of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crystext.codec import Format
from crystext.crystal import Crystal
from crystext.prompts import PromptSet


class Example(NamedTuple):
    """One thing to learn: what is given, and what is to follow it."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Record:
    """A crystal with the labels a data set gives it."""

    crystal: Crystal
    labels: Mapping[str, float] = field(default_factory=dict)
    """Values of `properties.LABELS`; what is unknown is missing or nan."""
    name: str = ""
    """What its source calls it; no two need differ."""


@dataclass(frozen=True)
class Task:
    """A kind of example."""

    name: str
    make: Callable[[Record, PromptSet, Format, np.random.Generator], Example]
    """Makes an example of a record whose crystal is already augmented and in text order."""
