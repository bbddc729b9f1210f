"""The registry of instruction tasks, in LLaMat's order."""

from __future__ import annotations

from collections.abc import Sequence

from crystext.errors import SettingError
from crystext.instruct.base import InstructionTask
from crystext.runtime.registry import Registry

ALL = "all"
"""Stands for every task that is asked by default."""

INSTRUCTION_TASKS = Registry(
    "instruction task",
    InstructionTask,  # type: ignore[type-abstract]  # no member is made of the class itself
    {
        "atom_count": "crystext.instruct.tasks.atom_count:ATOM_COUNT",
        "cell_parameters": "crystext.instruct.tasks.cell_parameters:CELL_PARAMETERS",
        "element_at_site": "crystext.instruct.tasks.element_at_site:ELEMENT_AT_SITE",
        "space_group": "crystext.instruct.tasks.space_group:SPACE_GROUP",
        "cell_volume": "crystext.instruct.tasks.volume:CELL_VOLUME",
        "cif_formula": "crystext.instruct.tasks.formula:CIF_FORMULA",
        "same_atom": "crystext.instruct.tasks.same_atom:SAME_ATOM",
        "conditional_generation": "crystext.instruct.tasks.generation:CONDITIONAL_GENERATION",
        "element_generation": "crystext.instruct.tasks.generation:ELEMENT_GENERATION",
        "element_infilling": "crystext.instruct.tasks.element_infilling:ELEMENT_INFILLING",
        "cell_of_atoms": "crystext.instruct.tasks.cell_of_atoms:CELL_OF_ATOMS",
        "text_volume": "crystext.instruct.tasks.volume:TEXT_VOLUME",
        "text_formula": "crystext.instruct.tasks.formula:TEXT_FORMULA",
        "cell_volume_copy": "crystext.instruct.tasks.volume:CELL_VOLUME_COPY",
    },
    plural="instruction_tasks",
)
"""Tasks by name, as `crystext instruct build --tasks` takes them."""


def choose_tasks(names: Sequence[str]) -> list[InstructionTask]:
    """Return tasks by name, each once, in the order of the registry.

    Args:
        names: of tasks; `all` stands for those that are asked by default.

    Raises:
        SettingError: a name is unknown, or there is none.
    """
    for name in names:
        if name != ALL:
            INSTRUCTION_TASKS.find(name)
    chosen = [
        task
        for name, task in INSTRUCTION_TASKS.items()
        if name in names or (ALL in names and task.is_default)
    ]
    if not chosen:
        raise SettingError(f"no task is named; expected {ALL}, or {', '.join(INSTRUCTION_TASKS)}")
    return chosen
