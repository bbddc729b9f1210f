"""Generation of a crystal: under conditions (LLaMat's task 8), or of given elements (9).

The published scores check the lines of an answer and nothing else. Here an answer has to be a
crystal that is structurally valid, and every condition is checked: the composition, the elements
(exactly these, each at least once), and the space group, by spglib at 0.1 Å. A crystal whose space
group is another one after printing is not asked for, so that every question has a right answer.

Energies are conditions that no crystal shows: they are checked only by a function that calculates
them (`with_energies`), within the tolerances below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.conditions import Conditions
from crystext.instruct.answers import Unreadable, read_crystal
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import well_formed_score
from crystext.instruct.printed import Printed, Writer
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import structure_failure
from crystext.structures.crystal import Crystal
from crystext.structures.properties import chemical_system, reduced_formula
from crystext.structures.property_schema import PROPERTIES, is_known
from crystext.structures.record import Failure, Record
from crystext.structures.space_groups import find_space_group

ENERGY_TOLERANCE = 0.1
"""eV/atom; how far a calculated energy may be from the requested one."""

ENERGIES = ("formation_energy", "e_above_hull")
"""Conditions that no crystal shows."""

_ATTRIBUTES = (*ENERGIES, "space_group")
"""Conditions of which a question has none to three."""

EnergyOf = Callable[[Crystal], Mapping[str, float]]
"""Calculates `formation_energy` and `e_above_hull` of a crystal, in eV/atom."""


class Generation(InstructionTask):
    """Write a crystal that satisfies conditions."""

    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("satisfied", "valid, and all conditions satisfied"),
        Measure("crystal", "a crystal"),
        Measure("structure_valid", "structurally valid"),
        Measure("composition_valid", "composition valid (SMACT14)"),
        Measure("composition", "requested composition"),
        Measure("chemical_system", "requested elements, and no other"),
        Measure("space_group", "requested space group"),
        Measure("formation_energy", "requested formation energy"),
        Measure("e_above_hull", "requested energy above hull"),
    )
    energy_of: EnergyOf | None = None

    def with_energies(self, energy_of: EnergyOf) -> Self:
        """Return the task with a function that calculates energies, so that they are checked."""
        task = copy(self)
        task.energy_of = energy_of
        return task

    def grade(self, question: Question, answer: str) -> Grade:
        """Read the crystal, and check it."""
        requested: Mapping[str, Any] = question.context["conditions"]
        crystal = read_crystal(answer, str(question.context["format"]))
        if isinstance(crystal, Unreadable):
            values = dict.fromkeys(("satisfied", "crystal", "structure_valid"), 0.0)
            values |= {"composition_valid": 0.0, **dict.fromkeys(requested, 0.0)}
            if self.energy_of is None:
                values |= dict.fromkeys(set(ENERGIES) & set(requested), math.nan)
            return Grade(values, crystal.message)
        is_valid = structure_failure(crystal) is None
        checked = self._check(crystal, requested)
        satisfied = is_valid and all(x for x in checked.values() if not math.isnan(x))
        return Grade(
            {
                "satisfied": float(satisfied),
                "crystal": 1.0,
                "structure_valid": float(is_valid),
                "composition_valid": float(is_composition_valid(crystal.numbers)),
                **checked,
            }
        )

    def _check(self, crystal: Crystal, requested: Mapping[str, Any]) -> dict[str, float]:
        results = Conditions.from_keywords(**requested).check(crystal)
        checked = {x.name: math.nan if x.satisfied is None else float(x.satisfied) for x in results}
        names = [name for name in ENERGIES if name in requested]
        if names and self.energy_of is not None:
            energies = self.energy_of(crystal)
            for name in names:
                difference = abs(energies.get(name, math.inf) - float(requested[name]))
                checked[name] = float(difference <= ENERGY_TOLERANCE)
        return checked

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of answers with the lines of a crystal."""
        return well_formed_score(answers)


class ConditionalGeneration(Generation):
    """Write a crystal of a formula, with none to three further conditions."""

    name: ClassVar[str] = "conditional_generation"
    title: ClassVar[str] = "generation under conditions"
    number: ClassVar[int] = 8
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "conditional_generation": frozenset({"conditions", "form"}),
        **{
            f"condition_{name}": frozenset({"value"})
            for name in ("composition", "chemical_system", *_ATTRIBUTES)
        },
    }

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Draw the number of conditions and the conditions; see `InstructionTask.make`.

        With any of them, the formula and the elements are named as well.
        """
        crystal = record.require_crystal()
        printed = writer.print_text(crystal)
        values = {name: record.labels.get(name) for name in ENERGIES}
        known: dict[str, Any] = {
            name: PROPERTIES[name].format(value)
            for name, value in values.items()
            if is_known(value)
        }
        if (number := find_space_group(crystal)) is not None:
            known["space_group"] = number
        count = int(rng.integers(len(known) + 1))
        names = set(rng.choice(list(known), size=count, replace=False).tolist()) if count else set()
        requested: dict[str, Any] = {}
        if names:
            requested["composition"] = reduced_formula(crystal)
            requested["chemical_system"] = chemical_system(crystal)
            requested |= {name: known[name] for name in known if name in names}
        if "space_group" in names and find_space_group(printed.crystal) != number:
            return Failure("as printed, the crystal has another space group")
        lines = [
            (f"condition_{name}", {"value": _shown(name, value)})
            for name, value in requested.items()
        ]
        return _generation("conditional_generation", {}, printed, requested, {"conditions": lines})


class ElementGeneration(Generation):
    """Write a crystal of exactly the given elements."""

    name: ClassVar[str] = "element_generation"
    title: ClassVar[str] = "generation from elements"
    number: ClassVar[int] = 9
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "element_generation": frozenset({"elements", "form"})
    }
    measures: ClassVar[tuple[Measure, ...]] = tuple(
        measure
        for measure in Generation.measures
        if measure.name not in ("composition", *_ATTRIBUTES)
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Name the elements, in any order; see `InstructionTask.make`."""
        crystal = record.require_crystal()
        system = chemical_system(crystal)
        elements = ", ".join(rng.permutation(system.split("-")).tolist())
        requested = {"chemical_system": system}
        printed = writer.print_text(crystal)
        return _generation("element_generation", {"elements": elements}, printed, requested, {})


def _shown(name: str, value: object) -> str:
    """Return a condition as its line shows it; elements apart, since A-B reads like a bond."""
    return ", ".join(str(value).split("-")) if name == "chemical_system" else str(value)


def _generation(
    template: str,
    values: Mapping[str, str],
    printed: Printed,
    requested: Mapping[str, Any],
    parts: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]],
) -> Instruction | Failure:
    if structure_failure(printed.crystal) is not None:
        return Failure("as printed, the crystal is structurally invalid")
    context = {"conditions": dict(requested), "format": printed.format}
    return Instruction(template, values, printed.text, printed.text, context, printed.format, parts)


CONDITIONAL_GENERATION, ELEMENT_GENERATION = ConditionalGeneration(), ElementGeneration()
