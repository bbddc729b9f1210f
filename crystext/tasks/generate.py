"""Writing a whole crystal: any crystal, or one with asked-for properties."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystext.codec import Format, encode
from crystext.prompts import PromptSet
from crystext.properties import written_properties
from crystext.tasks.base import Example, Record, Task


def generation_prompt(prompts: PromptSet, conditions: Mapping[str, str] | None = None) -> str:
    """Return the prompt that asks for a crystal with these properties, in this order.

    Args:
        prompts: the words.
        conditions: property name to value, as `properties.written_properties` writes it.
    """
    lines = [prompts.condition(name, value) for name, value in (conditions or {}).items()]
    return prompts.render("generate", conditions="".join(lines))


def _unconditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    return Example(generation_prompt(prompts), encode(record.crystal, fmt))


def _conditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    """Ask for a subset of the known properties: its size uniform in 1..4, its order random."""
    known = written_properties(record.crystal, record.labels)
    known = {name: text for name, text in known.items() if name in prompts.conditions}
    size = min(int(rng.integers(1, 5)), len(known))
    chosen = rng.choice(sorted(known), size=size, replace=False).tolist()
    prompt = generation_prompt(prompts, {name: known[name] for name in chosen})
    return Example(prompt, encode(record.crystal, fmt))


UNCONDITIONAL = Task("unconditional", _unconditional)
CONDITIONAL = Task("conditional", _conditional)
