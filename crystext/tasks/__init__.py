"""What a model is asked to do. A task turns a crystal into a prompt and its completion.

To add a task: one file here that defines a `Task`, and one line in `TASKS`.
"""

from __future__ import annotations

from crystext.structures.record import Record
from crystext.tasks.base import Example, Task
from crystext.tasks.element_infilling import INFILL_ELEMENT
from crystext.tasks.generation import CONDITIONAL, UNCONDITIONAL
from crystext.tasks.infilling import INFILL_ATOMS, INFILL_CELL, INFILL_COORDINATES, INFILL_SITES
from crystext.tasks.wyckoff import (
    WYCKOFF_CONDITIONAL,
    WYCKOFF_INFILL_ELEMENT,
    WYCKOFF_UNCONDITIONAL,
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        UNCONDITIONAL,
        CONDITIONAL,
        INFILL_ELEMENT,
        INFILL_SITES,
        INFILL_COORDINATES,
        INFILL_CELL,
        INFILL_ATOMS,
        WYCKOFF_UNCONDITIONAL,
        WYCKOFF_CONDITIONAL,
        WYCKOFF_INFILL_ELEMENT,
    )
}
"""Tasks by name, as recipes give their weights."""

__all__ = ["TASKS", "Example", "Record", "Task"]
