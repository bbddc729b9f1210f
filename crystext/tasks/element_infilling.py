"""Naming an element that was masked at all its sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.text.partial import UnknownParts, encode_partial, mask_element


def element_prompt(crystal: Crystal, symbol: str, prompts: PromptSet, fmt: Format) -> str:
    """Return the prompt for the candidates of a masked element that keeps its place in the text."""
    return prompts.render(
        "infill_element", crystal=mask_element(crystal, symbol, fmt, prompts.marks)
    )


@dataclass(frozen=True)
class ElementInfilling(Task):
    """Naming an element that was masked at all its sites."""

    measures: ClassVar[tuple[str, ...]] = ("correct",)

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Mask the element of a uniformly chosen atom: frequent elements are masked more often.

        Half of the time its sites keep their place, which is a hint to the element; half of the
        time they come last.
        """
        crystal = record.require_crystal()
        number = int(crystal.numbers[int(rng.integers(len(crystal)))])
        symbol = crystal.symbols[crystal.numbers.tolist().index(number)]
        if rng.random() < 0.5:
            return Example(element_prompt(crystal, symbol, prompts, fmt), symbol, fmt)
        sites = np.flatnonzero(crystal.numbers == number).tolist()
        shown, _ = encode_partial(crystal, UnknownParts(elements=sites), fmt, prompts.marks)
        return Example(prompts.render("infill_element", crystal=shown), symbol, fmt)

    def score(self, example: Example, answer: str) -> dict[str, float]:
        """Return whether the element is the masked one."""
        return {"correct": float(answer == example.completion)}


INFILL_ELEMENT = ElementInfilling("infill_element")
