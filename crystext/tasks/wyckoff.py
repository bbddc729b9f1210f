"""Tasks in the Wyckoff format: generation of a whole crystal, and infilling of a masked element."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.augment import randomize_description
from crystext.structures.record import Record
from crystext.tasks.base import Example
from crystext.tasks.crystal_generation import Generation
from crystext.tasks.element_infilling import ElementInfilling
from crystext.tasks.prompts import PromptSet
from crystext.text import WYCKOFF, Format


@dataclass(frozen=True)
class WyckoffElementInfilling(ElementInfilling):
    """Naming an element that was masked at all its orbits."""

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Mask the element of a uniformly chosen atom.

        Half of the time its orbits keep their place, half of the time they come last.
        """
        assert record.wyckoff is not None, "the task's format says that it needs it"
        wyckoff = randomize_description(record.wyckoff, rng)
        atoms = [
            orbit.atomic_number
            for orbit in wyckoff.orbits
            for _ in range(orbit.position.multiplicity)
        ]
        number = atoms[int(rng.integers(len(atoms)))]
        if rng.random() < 0.5:
            orbits = sorted(wyckoff.orbits, key=lambda orbit: orbit.atomic_number == number)
            wyckoff = replace(wyckoff, orbits=tuple(orbits))
        shown = WYCKOFF.encode_masked(wyckoff, number, prompts.marks.mask)
        prompt = prompts.render("infill_element", crystal=shown)
        return Example(prompt, SYMBOLS[number - 1], fmt)


WYCKOFF_UNCONDITIONAL = Generation("wyckoff_unconditional", WYCKOFF)
WYCKOFF_CONDITIONAL = Generation("wyckoff_conditional", WYCKOFF, conditional=True)
WYCKOFF_INFILL_ELEMENT = WyckoffElementInfilling("wyckoff_infill_element", WYCKOFF)
