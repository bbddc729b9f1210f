"""Writing a whole crystal in the Wyckoff format, and naming an element masked in such a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.augment import randomize_description
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.generation import conditional_example, unconditional_example
from crystext.tasks.prompts import PromptSet
from crystext.text import WYCKOFF, Format


def _infill_element(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Mask the element of an atom drawn uniformly, at all its orbits.

    Half of the time its orbits keep their place, half of the time they come last.
    """
    assert record.wyckoff is not None, "the task's format says that it needs it"
    wyckoff = randomize_description(record.wyckoff, rng)
    atoms = [
        orbit.atomic_number for orbit in wyckoff.orbits for _ in range(orbit.position.multiplicity)
    ]
    number = atoms[int(rng.integers(len(atoms)))]
    if rng.random() < 0.5:
        orbits = sorted(wyckoff.orbits, key=lambda orbit: orbit.atomic_number == number)
        wyckoff = replace(wyckoff, orbits=tuple(orbits))
    given = WYCKOFF.encode_masked(wyckoff, number, prompts.marks.mask)
    return Example(prompts.render("infill_element", crystal=given), SYMBOLS[number - 1])


WYCKOFF_UNCONDITIONAL = Task("wyckoff_unconditional", unconditional_example, WYCKOFF)
WYCKOFF_CONDITIONAL = Task("wyckoff_conditional", conditional_example, WYCKOFF)
WYCKOFF_INFILL_ELEMENT = Task("wyckoff_infill_element", _infill_element, WYCKOFF)
