"""Writing a whole crystal by its symmetry, and naming an element masked in such a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.augment import randomize_description
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import WyckoffCrystal, from_wyckoff
from crystext.tasks.base import Example, Task
from crystext.tasks.generation import generation_prompt, sample_properties
from crystext.tasks.prompts import PromptSet
from crystext.text import WYCKOFF, Format
from crystext.text.wyckoff import format_wyckoff


def _unconditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    prompt = generation_prompt(prompts, wyckoff=True)
    return Example(
        prompt, format_wyckoff(randomize_description(_require_wyckoff(record), rng), WYCKOFF)
    )


def _conditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Ask for properties of the crystal as its text has it: its own group, a primitive cell."""
    symmetric = _require_wyckoff(record)
    labels = {**record.labels, "space_group": float(symmetric.space_group)}
    crystal = record.crystal
    if len(crystal) != symmetric.n_atoms:
        crystal = from_wyckoff(symmetric)
    asked = sample_properties(replace(record, crystal=crystal, labels=labels), prompts, rng)
    prompt = generation_prompt(prompts, asked, wyckoff=True)
    return Example(prompt, format_wyckoff(randomize_description(symmetric, rng), WYCKOFF))


def _infill_element(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Mask the element of an atom drawn uniformly, at all its orbits.

    Half of the time its orbits keep their place, half of the time they come last.
    """
    symmetric = randomize_description(_require_wyckoff(record), rng)
    atoms = [
        orbit.atomic_number
        for orbit in symmetric.orbits
        for _ in range(orbit.position.multiplicity)
    ]
    number = atoms[int(rng.integers(len(atoms)))]
    if rng.random() < 0.5:
        orbits = sorted(symmetric.orbits, key=lambda orbit: orbit.atomic_number == number)
        symmetric = replace(symmetric, orbits=tuple(orbits))
    given = mask_orbits(symmetric, number, prompts.marks.mask)
    return Example(prompts.render("infill_element", crystal=given), SYMBOLS[number - 1])


def mask_orbits(wyckoff: WyckoffCrystal, number: int, mask: str) -> str:
    """Return the text of a crystal with `mask` in place of the element of this atomic number."""
    first, *lines = format_wyckoff(wyckoff, WYCKOFF).split("\n")
    for i, orbit in enumerate(wyckoff.orbits):
        if orbit.atomic_number == number:
            lines[i] = " ".join([mask, *lines[i].split(" ")[1:]])
    return "\n".join([first, *lines])


def _require_wyckoff(record: Record) -> WyckoffCrystal:
    assert record.wyckoff is not None, "the task says that it needs it"
    return record.wyckoff


WYCKOFF_UNCONDITIONAL = Task("wyckoff_unconditional", _unconditional, needs_wyckoff=True)
WYCKOFF_CONDITIONAL = Task("wyckoff_conditional", _conditional, needs_wyckoff=True)
WYCKOFF_INFILL_ELEMENT = Task("wyckoff_infill_element", _infill_element, needs_wyckoff=True)
