"""What to complete in a space group: the settings that may be meant, and how many atoms lack.

The number of atoms to add may be open. Each number that orbits can make up is then a part of the
task of its own, up to the maximum number of atoms and to `MIN_VOLUME_PER_ATOM` in a known cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import InputError
from crystext.generation.infilling.orbit_task import OrbitTask, make_orbit_task, standard_cell
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.partial_structures import PartialStructure
from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.wyckoff.metric_tensor import consistent_cells, fill_tied
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.text.partial import PartialCrystal

MIN_VOLUME_PER_ATOM = 4.0
"""Å^3; in diamond it is 5.7, and in the hydrides of light elements not much less."""


@dataclass(frozen=True, eq=False)
class WyckoffTask:
    """A crystal to complete in a space group."""

    number: int
    """Of the space group."""
    parts: tuple[OrbitTask, ...]
    """What the orbits have to cover, for each setting that the known part allows and each number of
    atoms to add."""
    partial: PartialCrystal
    sites: PartialStructure
    strict: bool
    """Whether completions in which spglib finds another space group are left out."""


def make_wyckoff_task(
    partial: PartialCrystal,
    sites: PartialStructure,
    settings: Sequence[GroupSetting],
    constraints: Constraints,
    *,
    strict: bool = False,
) -> WyckoffTask:
    """Return the task, checked before any model is loaded.

    Args:
        partial: made from the structure; atoms that were added come last.
        sites: the structure, and places of added atoms.
        settings: of the space group, those that may be meant.
        constraints: elements that are not filled in, and the maximum number of atoms.
        strict: whether completions in another space group are left out.

    Raises:
        InputError: the cell contradicts the group, or no set of Wyckoff positions holds the missing
            atoms.
    """
    lengths, angles = _tied_cell(settings[0], partial)
    filled = replace(partial, lengths=lengths, angles=angles)
    least, most = partial.missing_atoms
    tasks: list[OrbitTask] = []
    refusals: list[InputError] = []
    for setting in settings:
        for count in range(least, most + 1):
            some = replace(filled, missing_atoms=(count, count))
            try:
                tasks.append(
                    make_orbit_task(
                        setting, some, sites, constraints.exclude, constraints.max_atoms
                    )
                )
            except InputError as error:
                refusals.append(error)
    if not tasks:
        raise refusals[0]
    if least < most:
        tasks = [task for task in tasks if _fits_cell(task, constraints.max_atoms)]
    if not tasks:
        raise InputError(
            f"the cell has no room for another orbit of space group {settings[0].number}: a "
            f"crystal has at most {constraints.max_atoms} atoms, each with at least "
            f"{MIN_VOLUME_PER_ATOM:g} Å^3; try a larger maximum, or give the number of atoms to add"
        )
    return WyckoffTask(settings[0].number, tuple(tasks), partial, sites, strict)


def _fits_cell(task: OrbitTask, max_atoms: int) -> bool:
    """Return whether a cell may hold the atoms of a task."""
    atoms = task.setting.lattice_points * sum(gap.atoms or 1 for gap in task.gaps.gaps)
    lattice = task.lattice
    volume = np.inf if lattice is None else abs(float(np.linalg.det(lattice)))
    return atoms <= min(max_atoms, volume / MIN_VOLUME_PER_ATOM)


def _tied_cell(setting: GroupSetting, partial: PartialCrystal) -> tuple[Floats, Floats]:
    """Return lengths and angles with those filled in that symmetry ties to known ones."""
    cells = consistent_cells(setting.rotations, partial.lengths, partial.angles, METRIC_TOLERANCE)
    if not cells:
        raise InputError(
            "the known lengths and angles of its cell contradict its symmetry operations; correct "
            "them, or leave them open (?)"
        )
    return fill_tied(partial.lengths, partial.angles, cells)


def free_parameters(task: OrbitTask) -> tuple[float | None, ...]:
    """Return the free parameters of the standard cell; None where the file leaves them open."""
    if task.lattice is not None:
        return tuple(standard_cell(task, task.lattice))
    cells = consistent_cells(
        task.setting.rotations, task.partial.lengths, task.partial.angles, METRIC_TOLERANCE
    )
    first, second = (standard_cell(task, basis_vectors(*cell)) for cell in cells)
    return tuple(a if abs(a - b) < 1e-4 else None for a, b in zip(first, second, strict=True))
