"""Naming an element that was masked at all its sites.

Sites are masked, never substrings: masking C leaves Ca and Cl alone.
"""

from __future__ import annotations

import numpy as np

from crystext.codec import Format, encode
from crystext.crystal import Crystal
from crystext.errors import InputError
from crystext.prompts import PromptSet
from crystext.tasks.base import Example, Record, Task
from crystext.vocabulary import MASK


def mask_element(crystal: Crystal, symbol: str, fmt: Format) -> str:
    """Return the text of a crystal with `?` on the line of every site of the element.

    Raises:
        InputError: the crystal has no such element, or cannot be written (see `encode`).
    """
    if symbol not in crystal.symbols:
        found = ", ".join(sorted(set(crystal.symbols)))
        raise InputError(f"there is no {symbol} to mask; the crystal holds {found}")
    lines = encode(crystal, fmt).split("\n")
    lines[2::2] = [MASK if line == symbol else line for line in lines[2::2]]
    return "\n".join(lines)


def _infill_element(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Mask the element of an atom drawn uniformly, so that frequent elements are masked more."""
    symbol = record.crystal.symbols[int(rng.integers(len(record.crystal)))]
    prompt = prompts.render("infill", crystal=mask_element(record.crystal, symbol, fmt))
    return Example(prompt, symbol)


INFILL_ELEMENT = Task("infill_element", _infill_element)
