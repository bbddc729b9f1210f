"""Writing a whole crystal: any crystal, or one with asked-for properties."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystext.codec import Format, encode
from crystext.prompts import PromptSet
from crystext.properties import written_properties
from crystext.tasks.base import Example, Record, Task

_STOP = 0.35
"""Chance that no further property is asked for; one in six prompts asks for five or more."""


def generation_prompt(prompts: PromptSet, conditions: Mapping[str, str] | None = None) -> str:
    """Return the prompt that asks for a crystal with these properties, in this order.

    Args:
        prompts: the words.
        conditions: property name to value, as `properties.written_properties` writes it.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render("generate", conditions=lines)


def condition_lines(prompts: PromptSet, conditions: Mapping[str, str]) -> str:
    """Return the lines of a prompt that ask for properties, in the order given."""
    return "".join(prompts.condition(name, value) for name, value in conditions.items())


def some_properties(record: Record, prompts: PromptSet, rng: np.random.Generator) -> dict[str, str]:
    """Draw some of a record's known properties, in random order.

    Every subset can come; its size has a geometric distribution, cut at their number, so that few
    properties are asked for most of the time.
    """
    known = written_properties(record.crystal, record.labels)
    known = {name: text for name, text in known.items() if name in prompts.conditions}
    size = min(int(rng.geometric(_STOP)), len(known))
    chosen = rng.choice(sorted(known), size=size, replace=False).tolist()
    return {name: known[name] for name in chosen}


def _unconditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    return Example(generation_prompt(prompts), encode(record.crystal, fmt))


def _conditional(
    record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
) -> Example:
    prompt = generation_prompt(prompts, some_properties(record, prompts, rng))
    return Example(prompt, encode(record.crystal, fmt))


UNCONDITIONAL = Task("unconditional", _unconditional)
CONDITIONAL = Task("conditional", _conditional)
