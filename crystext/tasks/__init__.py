"""Tasks that a model learns: each turns a crystal into a prompt and its completion.

To add a task: one file here that defines a `Task`, and one line in `TASKS`.
"""

from __future__ import annotations

from crystext.runtime.registry import Registry
from crystext.structures.record import Record
from crystext.tasks.base import Example, Task

TASKS = Registry(
    "task",
    Task,  # type: ignore[type-abstract]  # no member is made of the class itself
    {
        "unconditional": "crystext.tasks.crystal_generation:UNCONDITIONAL",
        "conditional": "crystext.tasks.crystal_generation:CONDITIONAL",
        "infill_element": "crystext.tasks.element_infilling:INFILL_ELEMENT",
        "infill_sites": "crystext.tasks.infilling:INFILL_SITES",
        "infill_coordinates": "crystext.tasks.infilling:INFILL_COORDINATES",
        "infill_cell": "crystext.tasks.infilling:INFILL_CELL",
        "infill_atoms": "crystext.tasks.infilling:INFILL_ATOMS",
        "wyckoff_unconditional": "crystext.tasks.wyckoff:WYCKOFF_UNCONDITIONAL",
        "wyckoff_conditional": "crystext.tasks.wyckoff:WYCKOFF_CONDITIONAL",
        "wyckoff_infill_element": "crystext.tasks.wyckoff:WYCKOFF_INFILL_ELEMENT",
        "property": "crystext.tasks.property_prediction:PROPERTY",
    },
)
"""Tasks by name, as recipes give their weights."""

__all__ = ["TASKS", "Example", "Record", "Task"]
