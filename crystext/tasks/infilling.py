"""Completing a crystal of which a part is not known: sites, coordinates, the cell, whole atoms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.generation import condition_lines, some_properties
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.text.partial import Unknown, write_partial

_CONDITIONED = 0.25
"""Share of the examples that also name some properties of the whole crystal."""


def infill_prompt(
    given: str, prompts: PromptSet, conditions: Mapping[str, str] | None = None
) -> str:
    """Return the prompt that asks for the rest of a crystal.

    Args:
        given: what is known of it, as `write_partial` writes it.
        prompts: the words.
        conditions: properties that the whole crystal is to have, as in `generation_prompt`.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render("infill", crystal=given, conditions=lines)


def _some(count: int, rng: np.random.Generator) -> list[int]:
    """Draw some sites of `count`: how many is uniform from one to all."""
    size = int(rng.integers(1, count + 1))
    return sorted(rng.choice(count, size=size, replace=False).tolist())


def _sites(crystal: Crystal, rng: np.random.Generator) -> Unknown:
    return Unknown(elements=_some(len(crystal), rng))


def _coordinates(crystal: Crystal, rng: np.random.Generator) -> Unknown:
    """Hide all coordinates half of the time, and then half of the time the cell as well.

    The last is crystal structure prediction: only the atoms are given.
    """
    if rng.random() < 0.5:
        return Unknown(positions=_some(len(crystal), rng))
    cell = bool(rng.random() < 0.5)
    return Unknown(lengths=cell, angles=cell, positions=range(len(crystal)))


def _cell(crystal: Crystal, rng: np.random.Generator) -> Unknown:
    return Unknown(lengths=True, angles=True)


def _atoms(crystal: Crystal, rng: np.random.Generator) -> Unknown:
    return Unknown(missing=_some(len(crystal), rng))


def _task(name: str, hide: Callable[[Crystal, np.random.Generator], Unknown]) -> Task:
    def make(record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator) -> Example:
        crystal = record.crystal
        # Sites of unknown element are written in the crystal's order, which must tell nothing.
        order = rng.permutation(len(crystal))
        shuffled = Crystal(
            crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]
        )
        given, wanted = write_partial(shuffled, hide(shuffled, rng), fmt, prompts.marks)
        conditions = {}
        if rng.random() < _CONDITIONED:
            conditions = some_properties(record, prompts, rng)
        return Example(infill_prompt(given, prompts, conditions), wanted)

    return Task(name, make)


INFILL_SITES = _task("infill_sites", _sites)
INFILL_COORDINATES = _task("infill_coordinates", _coordinates)
INFILL_CELL = _task("infill_cell", _cell)
INFILL_ATOMS = _task("infill_atoms", _atoms)
