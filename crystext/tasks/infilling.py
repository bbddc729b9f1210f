"""Completing a crystal of which a part is not known: sites, coordinates, the cell, whole atoms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.generation import condition_lines, sample_properties
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.text.partial import UnknownParts, encode_partial

_CONDITIONED_FRACTION = 0.25
"""Share of the examples that also name some properties of the whole crystal."""


def infill_prompt(
    partial_text: str, prompts: PromptSet, conditions: Mapping[str, str] | None = None
) -> str:
    """Return the prompt that asks for the rest of a crystal.

    Args:
        partial_text: what is known of it, as `encode_partial` writes it.
        prompts: the words.
        conditions: properties that the whole crystal is to have, as in `generation_prompt`.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render("infill", crystal=partial_text, conditions=lines)


def _draw_sites(count: int, rng: np.random.Generator) -> list[int]:
    """Draw some sites of `count`: how many is uniform from one to all."""
    size = int(rng.integers(1, count + 1))
    return sorted(rng.choice(count, size=size, replace=False).tolist())


def _hide_elements(crystal: Crystal, rng: np.random.Generator) -> UnknownParts:
    return UnknownParts(elements=_draw_sites(len(crystal), rng))


def _hide_coordinates(crystal: Crystal, rng: np.random.Generator) -> UnknownParts:
    """Hide all coordinates half of the time, and then half of the time the cell as well.

    The last is crystal structure prediction: only the atoms are given.
    """
    if rng.random() < 0.5:
        return UnknownParts(positions=_draw_sites(len(crystal), rng))
    cell = bool(rng.random() < 0.5)
    return UnknownParts(lengths=cell, angles=cell, positions=range(len(crystal)))


def _hide_cell(crystal: Crystal, rng: np.random.Generator) -> UnknownParts:
    return UnknownParts(lengths=True, angles=True)


def _hide_atoms(crystal: Crystal, rng: np.random.Generator) -> UnknownParts:
    return UnknownParts(missing=_draw_sites(len(crystal), rng))


def _infill_task(name: str, hide: Callable[[Crystal, np.random.Generator], UnknownParts]) -> Task:
    def make(record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator) -> Example:
        crystal = record.crystal
        # Sites of unknown element are written in the crystal's order, which must tell nothing.
        order = rng.permutation(len(crystal))
        shuffled = Crystal(
            crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]
        )
        given, wanted = encode_partial(shuffled, hide(shuffled, rng), fmt, prompts.marks)
        conditions = {}
        if rng.random() < _CONDITIONED_FRACTION:
            conditions = sample_properties(record, prompts, rng)
        return Example(infill_prompt(given, prompts, conditions), wanted)

    return Task(name, make)


INFILL_SITES = _infill_task("infill_sites", _hide_elements)
INFILL_COORDINATES = _infill_task("infill_coordinates", _hide_coordinates)
INFILL_CELL = _infill_task("infill_cell", _hide_cell)
INFILL_ATOMS = _infill_task("infill_atoms", _hide_atoms)
