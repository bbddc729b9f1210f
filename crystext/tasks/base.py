"""The interface of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crystext.codec import Format
from crystext.crystal import Crystal
from crystext.prompts import PromptSet
from crystext.wyckoff.orbits import SymmetricCrystal


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
    symmetric: SymmetricCrystal | None = None
    """The crystal by its symmetry, for tasks that write it so."""


@dataclass(frozen=True)
class Task:
    """A kind of example."""

    name: str
    make: Callable[[Record, PromptSet, Format, np.random.Generator], Example]
    """Makes an example of a record whose crystal is already augmented and in text order."""
    by_symmetry: bool = False
    """Whether the task needs the record's `symmetric`; crystals that have none are left out."""
