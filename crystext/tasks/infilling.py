"""Infilling: completion of a crystal with unknown sites, coordinates, cell or whole atoms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.crystal_generation import condition_lines, sample_properties
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.text.partial import DEFAULT_MARKS, UnknownParts, encode_partial

_CONDITIONED_FRACTION = 0.25
"""Proportion of examples that also name some properties of the whole crystal."""


def infill_prompt(
    partial_text: str, prompts: PromptSet, conditions: Mapping[str, str] | None = None
) -> str:
    """Return the prompt for the completion of a crystal.

    Args:
        partial_text: its known part, as `encode_partial` writes it.
        prompts: the words.
        conditions: requested properties of the whole crystal, as in `generation_prompt`.
    """
    lines = condition_lines(prompts, conditions or {})
    return prompts.render("infill", crystal=partial_text, conditions=lines)


def _draw_sites(count: int, rng: np.random.Generator) -> list[int]:
    """Sample some of `count` sites; their number is uniform from one to all."""
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


@dataclass(frozen=True)
class Infilling(Task):
    """Completion of the hidden lines of a crystal's text."""

    hide: Callable[[Crystal, np.random.Generator], UnknownParts] = field(kw_only=True)
    """Chooses the hidden part of a crystal."""

    measures: ClassVar[tuple[str, ...]] = ("parse", "matches")

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        """Hide a part; some prompts also name properties of the whole crystal."""
        crystal = record.require_crystal()
        # Sites of unknown element are written in the crystal's order, which must not leak
        # information.
        order = rng.permutation(len(crystal))
        shuffled = Crystal(
            crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]
        )
        unknown = self.hide(shuffled, rng)
        shown, hidden = encode_partial(shuffled, unknown, fmt, prompts.marks)
        partial_text = shown
        if prompts.marks != DEFAULT_MARKS:
            partial_text, _ = encode_partial(shuffled, unknown, fmt)
        conditions = {}
        if rng.random() < _CONDITIONED_FRACTION:
            conditions = sample_properties(record, prompts, rng)
        return Example(infill_prompt(shown, prompts, conditions), hidden, fmt, partial_text)

    def score(self, example: Example, answer: str) -> dict[str, float]:
        """Return whether the completion is a crystal, and whether it matches the original.

        They match under the tolerances of pymatgen's `StructureMatcher`, as two entries of one
        material in a database do; so a cell is compared up to its volume.
        """
        completed, original = (
            example.format.decode(_complete_text(example.partial_text, text)).crystal
            for text in (answer, example.completion)
        )
        matches = (
            completed is not None
            and original is not None
            and is_same(
                PYMATGEN_TOLERANCES.matcher(),
                reduce_for_matching(completed),
                reduce_for_matching(original),
            )
        )
        return {"parse": float(completed is not None), "matches": float(matches)}


def _complete_text(partial_text: str, answer: str) -> str:
    """Return the text of a whole crystal: answer lines replace marks, the others are appended."""
    answers = iter(answer.split("\n"))
    lines = [
        next(answers, "") if line == DEFAULT_MARKS.mask else line
        for line in partial_text.split("\n")
        if line != DEFAULT_MARKS.more
    ]
    return "\n".join([*lines, *answers])


INFILL_SITES = Infilling("infill_sites", hide=_hide_elements)
INFILL_COORDINATES = Infilling("infill_coordinates", hide=_hide_coordinates)
INFILL_CELL = Infilling("infill_cell", hide=_hide_cell)
INFILL_ATOMS = Infilling("infill_atoms", hide=_hide_atoms)
