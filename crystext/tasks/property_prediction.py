"""Prediction of properties: any text of a record in, a number or yes and no out, as text.

The generative loss alone, without a regression head (Jacobs et al., arXiv:2409.06080; wording,
digits and levels here are this package's own). With levels (`answer_scales`), one example asks for
several properties of the same text: every answer is a single token that no later question sees, so
the text is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record
from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.base import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.tasks.representations import get_representation
from crystext.text import FORMATS, Format


def question(prompts: PromptSet, target: Property) -> str:
    """Return the line that asks for a property, up to where the answer begins.

    It is the line of the prompt set that requests the property from a generator, or else the
    property's title and unit.
    """
    line = prompts.conditions.get(target.name)
    if line is not None:
        return line.partition("{value}")[0]
    title = target.title[:1].upper() + target.title[1:]
    return f"{title} in {target.unit}: " if target.unit else f"{title}: "


def property_prompt(prompts: PromptSet, text: str, targets: Sequence[Property]) -> str:
    """Return a prompt that shows a text and asks for properties, in this order."""
    questions = "".join(question(prompts, target) for target in targets)
    return prompts.render("predict", material=text) + questions


def default_scales() -> dict[str, AnswerScale]:
    """Return the scales of all properties that are numbers or booleans, by digits."""
    return {
        name: AnswerScale(target)
        for name, target in PROPERTIES.items()
        if target.kind != "category"
    }


@dataclass(frozen=True)
class PropertyPrediction(Task):
    """Prediction of properties from a text."""

    scales: Mapping[str, AnswerScale] = field(default_factory=default_scales, kw_only=True)
    """The answers of each property that is asked for."""
    inputs: Mapping[str, float] = field(default_factory=lambda: {"composition": 1.0}, kw_only=True)
    """Relative weight of each representation (`tasks.representations`) of a record that has
    several of them."""
    jitter: float = field(default=0.0, kw_only=True)
    """Noise on the answers in training; see `AnswerScale.write`."""

    measures: ClassVar[tuple[str, ...]] = ("parse", "exact")
    needs_crystal: ClassVar[bool] = False

    @property
    def needs_wyckoff(self) -> bool:
        """Whether a text of this task is in the Wyckoff format."""
        return any(name in FORMATS and FORMATS[name].needs_wyckoff for name in self.inputs)

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example | None:
        """Ask for properties that the record has: for all at once if they have levels, else one."""
        values = self.known_values(record)
        _, text = self.sample_text(record, rng)
        if not values or not text:
            return None
        names = [str(name) for name in rng.permutation(sorted(values))]
        if not all(self.scales[name].choices for name in names):
            names = names[:1]
        asked = [question(prompts, self.scales[name].target) for name in names]
        answers = [self.scales[name].write(values[name], rng, self.jitter) for name in names]
        first = prompts.render("predict", material=text) + asked[0]
        further = tuple(zip(asked[1:], answers[1:], strict=True))
        return Example(first, answers[0], fmt, further_questions=further)

    def known_values(self, record: Record) -> dict[str, float]:
        """Return the finite values of this task's properties that a record has."""
        found = {}
        for name, scale in self.scales.items():
            value = property_value(scale.target, record)
            if value is not None:
                found[name] = value
        return found

    def sample_text(
        self, record: Record, rng: np.random.Generator, *, equivalent: bool = True
    ) -> tuple[str, str]:
        """Return a representation that a record has, sampled by weight, and its text, or no text.

        Args:
            record: any.
            rng: of the choice.
            equivalent: whether the text, too, is a random one of equivalent ones.

        Raises:
            InputError, SettingError: what the record has is invalid.
        """
        # One order of random numbers whatever the record has.
        names = list(self.inputs)
        keys = rng.random(len(names)) ** (1 / np.array([*self.inputs.values()]))
        for i in np.argsort(-keys):
            text = get_representation(names[i]).write(record, rng if equivalent else None)
            if text:
                return names[i], text
        return "", ""

    def score(self, example: Example, answer: str) -> dict[str, float]:
        """Return whether the first answer is one, and whether it is the example's."""
        parsed = any(scale.parse(answer) is not None for scale in self._kinds)
        return {"parse": float(parsed), "exact": float(answer == example.completion)}

    @cached_property
    def _kinds(self) -> list[AnswerScale]:
        """One scale of each kind of answer."""
        return list({scale.target.kind: scale for scale in self.scales.values()}.values())


def property_value(target: Property, record: Record) -> float | None:
    """Return the value of a property of a record as a number; a boolean is 1 or 0."""
    label = record.labels.get(target.name)
    if label is None or label != label:
        label = None if record.crystal is None else target.value(record.crystal, record.labels)
    if label is None or isinstance(label, str) or not np.isfinite(label):
        return None
    return float(label)


PROPERTY = PropertyPrediction("property")
"""Asks for any numeric or boolean property of the schema, by digits, from the composition. Recipes
set their own properties, inputs and answers (`training.property_settings`)."""
