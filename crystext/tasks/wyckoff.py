"""Writing a whole crystal by its symmetry, and naming an element masked in such a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.augment import redescribe
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import SymmetricCrystal, compose
from crystext.tasks.base import Example, Task
from crystext.tasks.generation import generation_prompt, some_properties
from crystext.tasks.prompts import PromptSet
from crystext.text import WYCKOFF, Format
from crystext.text.wyckoff import write_orbits


def _unconditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    prompt = generation_prompt(prompts, by_symmetry=True)
    return Example(prompt, write_orbits(redescribe(_symmetric(record), rng), WYCKOFF))


def _conditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Ask for properties of the crystal as its text has it: its own group, a primitive cell."""
    symmetric = _symmetric(record)
    labels = {**record.labels, "space_group": float(symmetric.space_group)}
    crystal = record.crystal
    if len(crystal) != symmetric.atoms:
        crystal = compose(symmetric)
    asked = some_properties(replace(record, crystal=crystal, labels=labels), prompts, rng)
    prompt = generation_prompt(prompts, asked, by_symmetry=True)
    return Example(prompt, write_orbits(redescribe(symmetric, rng), WYCKOFF))


def _infill_element(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Mask the element of an atom drawn uniformly, at all its orbits.

    Half of the time its orbits keep their place, half of the time they come last.
    """
    symmetric = redescribe(_symmetric(record), rng)
    atoms = [orbit.number for orbit in symmetric.orbits for _ in range(orbit.position.multiplicity)]
    number = atoms[int(rng.integers(len(atoms)))]
    if rng.random() < 0.5:
        orbits = sorted(symmetric.orbits, key=lambda orbit: orbit.number == number)
        symmetric = replace(symmetric, orbits=tuple(orbits))
    given = mask_orbits(symmetric, number, prompts.marks.mask)
    return Example(prompts.render("infill_element", crystal=given), SYMBOLS[number - 1])


def mask_orbits(symmetric: SymmetricCrystal, number: int, mask: str) -> str:
    """Return the text of a crystal with `mask` in place of the element of this atomic number."""
    first, *lines = write_orbits(symmetric, WYCKOFF).split("\n")
    for i, orbit in enumerate(symmetric.orbits):
        if orbit.number == number:
            lines[i] = " ".join([mask, *lines[i].split(" ")[1:]])
    return "\n".join([first, *lines])


def _symmetric(record: Record) -> SymmetricCrystal:
    assert record.symmetric is not None, "the task says that it needs it"
    return record.symmetric


WYCKOFF_UNCONDITIONAL = Task("wyckoff_unconditional", _unconditional, by_symmetry=True)
WYCKOFF_CONDITIONAL = Task("wyckoff_conditional", _conditional, by_symmetry=True)
WYCKOFF_INFILL_ELEMENT = Task("wyckoff_infill_element", _infill_element, by_symmetry=True)
