"""Writing a whole crystal: any crystal, or one with asked-for properties."""

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
"""Chance that no further property is asked for; one in sixteen prompts asks for five or more."""

_FIRST_PROPERTY_WEIGHTS = {
    "formula": 20.0,
    "space_group": 3.0,
    "elements": 1.5,
    "chemical_system": 1.5,
}
"""How often a property is the first to be asked for, relative to 1 of those not named: what people
ask for most is practised most."""


def generation_prompt(
    prompts: PromptSet, conditions: Mapping[str, str] | None = None, fmt: Format = PLAIN
) -> str:
    """Return the prompt that asks for a crystal with these properties, in this order.

    Args:
        prompts: the words.
        conditions: property name to value, as `properties.format_properties` writes it.
        fmt: the format of the text, whose template is used.

    Raises:
        SettingError: the prompts have no words for that.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render(fmt.template, conditions=lines)


def condition_lines(prompts: PromptSet, conditions: Mapping[str, str]) -> str:
    """Return the lines of a prompt that ask for properties, in the order given."""
    return "".join(prompts.condition(name, value) for name, value in conditions.items())


def sample_properties(
    record: Record, prompts: PromptSet, rng: np.random.Generator
) -> dict[str, str]:
    """Draw some of a record's known properties, in random order.

    Every subset can come; its size has a geometric distribution, cut at their number, so that few
    properties are asked for most of the time. Formula and space group come most often. Half of the
    formulas are those of the whole cell, Na4Cl4 for NaCl, so that a prompt can also say how large
    the cell is to be.
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
    """Return whether a text was read, and whether its structure and composition are valid."""
    return {
        "parse": float(crystal is not None),
        "structure_valid": float(crystal is not None and is_structure_valid(crystal)),
        "composition_valid": float(crystal is not None and is_composition_valid(crystal.numbers)),
    }


@dataclass(frozen=True)
class Generation(Task):
    """Writing a whole crystal: any, or, if `conditional`, one with the properties requested."""

    conditional: bool = field(default=False, kw_only=True)

    measures: ClassVar[tuple[str, ...]] = ("parse", "structure_valid", "composition_valid")

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Request properties of the crystal as its text has it."""
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
