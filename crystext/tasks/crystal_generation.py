"""Generation of a whole crystal, unconditional or with requested properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import is_structure_valid
from crystext.structures.crystal import Crystal
from crystext.structures.properties import cell_formula
from crystext.structures.property_schema import available_properties, format_properties
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.text import PLAIN, Format

_STOP_PROBABILITY = 0.5
"""Probability that no further property is requested; one in sixteen prompts requests five or
more."""

_FIRST_PROPERTY_WEIGHTS = {
    "formula": 20.0,
    "space_group": 3.0,
    "elements": 1.5,
    "chemical_system": 1.5,
}
"""Relative frequency of a property as the first requested one; 1 for those not listed. Properties
that users request most are trained most."""


def generation_prompt(
    prompts: PromptSet, conditions: Mapping[str, str] | None = None, fmt: Format = PLAIN
) -> str:
    """Return the prompt for a crystal with these properties, in this order.

    Args:
        prompts: the words.
        conditions: property name to value, as `properties.format_properties` writes it.
        fmt: the format of the text, whose template is used.

    Raises:
        SettingError: the prompt set has no template or line for that.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render(fmt.template, conditions=lines)


def condition_lines(prompts: PromptSet, conditions: Mapping[str, str]) -> str:
    """Return the prompt lines for properties, in the given order."""
    return "".join(prompts.condition(name, value) for name, value in conditions.items())


def sample_properties(
    record: Record, prompts: PromptSet, rng: np.random.Generator
) -> dict[str, str]:
    """Sample some of a record's known properties, in random order.

    Every subset is possible; its size has a truncated geometric distribution, so that mostly few
    properties are requested. Formula and space group are the most frequent. Half of the formulas
    are those of the whole cell, Na4Cl4 for NaCl, so that a prompt can also say how large the cell
    is to be.
    """
    names = sorted(available_properties(record.labels, prompts.conditions))
    size = min(int(rng.geometric(_STOP_PROBABILITY)), len(names))
    weights = np.array([_FIRST_PROPERTY_WEIGHTS.get(name, 1.0) for name in names])
    chosen = rng.choice(names, size=size, replace=False, p=weights / weights.sum()).tolist()
    crystal = record.require_crystal()
    written = format_properties(crystal, record.labels, chosen)
    if "formula" in chosen and rng.random() < 0.5:
        written["formula"] = cell_formula(crystal.numbers)
    return written


def score_crystal(crystal: Crystal | None) -> dict[str, float]:
    """Return whether a text is a crystal, and whether structure and composition are valid."""
    return {
        "parse": float(crystal is not None),
        "structure_valid": float(crystal is not None and is_structure_valid(crystal)),
        "composition_valid": float(crystal is not None and is_composition_valid(crystal.numbers)),
    }


@dataclass(frozen=True)
class Generation(Task):
    """Generation of a whole crystal, with requested properties if `conditional`."""

    conditional: bool = field(default=False, kw_only=True)

    measures: ClassVar[tuple[str, ...]] = ("parse", "structure_valid", "composition_valid")

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Request properties of the crystal as written in its text."""
        requested = {}
        if self.conditional:
            requested = sample_properties(fmt.record_as_written(record), prompts, rng)
        prompt = generation_prompt(prompts, requested, fmt)
        return Example(prompt, fmt.encode_record(record, rng), fmt)

    def score(self, example: Example, answer: str) -> dict[str, float]:
        """Return whether the answer is a crystal, and a valid one; see `score_crystal`."""
        return score_crystal(example.format.decode(answer).crystal)


UNCONDITIONAL = Generation("unconditional")
CONDITIONAL = Generation("conditional", conditional=True)
