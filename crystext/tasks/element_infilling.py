"""Naming an element that was masked at all its sites."""

from __future__ import annotations

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.text.partial import UnknownParts, encode_partial, mask_element


def element_prompt(crystal: Crystal, symbol: str, prompts: PromptSet, fmt: Format) -> str:
    """Return the prompt that asks what could stand in place of an element, its place kept."""
    return prompts.render(
        "infill_element", crystal=mask_element(crystal, symbol, fmt, prompts.marks)
    )


def _infill_element(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Mask the element of an atom drawn uniformly, so that frequent elements are masked more.

    Half of the time its sites keep their place, which tells something of the element; half of the
    time they come last.
    """
    crystal = record.crystal
    number = int(crystal.numbers[int(rng.integers(len(crystal)))])
    symbol = crystal.symbols[crystal.numbers.tolist().index(number)]
    if rng.random() < 0.5:
        return Example(element_prompt(crystal, symbol, prompts, fmt), symbol)
    sites = np.flatnonzero(crystal.numbers == number).tolist()
    given, _ = encode_partial(crystal, UnknownParts(elements=sites), fmt, prompts.marks)
    return Example(prompts.render("infill_element", crystal=given), symbol)


INFILL_ELEMENT = Task("infill_element", _infill_element)
