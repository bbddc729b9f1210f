"""The property task of a recipe: its answers follow from the training records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from crystext.data.store import Records
from crystext.errors import InputError
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks import TASKS
from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.base import Task
from crystext.tasks.property_prediction import PROPERTY, PropertyPrediction, property_value
from crystext.training.recipe import PROPERTY_TASK, Recipe
from crystext.training.training_data import TrainingData


def property_task(recipe: Recipe, data: TrainingData) -> PropertyPrediction | None:
    """Return the property task of a recipe; None if the recipe has none.

    Raises:
        SettingError: neither the recipe nor the data say what is predicted.
        InputError: a property has no two different values among the training records; all such
            properties are listed.
    """
    settings = recipe.properties
    if settings is None:
        return None
    targets = settings.properties(data.targets)
    values = target_values(data.splits["train"], targets)
    scales, faults = {}, []
    for name, target in targets.items():
        try:
            scale = AnswerScale.fit(target, values[name], settings.levels)
        except InputError as error:
            faults.append(str(error))
            continue
        by_digits = settings.answer == "digits" or recipe.objective == "regression_head"
        if by_digits and not scale.is_boolean:
            scale = replace(scale, levels=(), atoms=frozenset())
        scales[name] = replace(scale, digits=settings.digits)
    if faults:
        raise InputError("; ".join(faults))
    return replace(PROPERTY, scales=scales, inputs=settings.inputs, jitter=settings.jitter)


def recipe_tasks(task: PropertyPrediction | None) -> Mapping[str, Task]:
    """Return all tasks by name, with the recipe's own property task."""
    return TASKS if task is None else {**TASKS, PROPERTY_TASK: task}


def target_values(records: Records, targets: Mapping[str, Property]) -> dict[str, Floats]:
    """Return the values of properties for each record, nan where unknown: (N,) by name."""
    found = {name: np.full(len(records), np.nan) for name in targets}
    for i in range(len(records)):
        record: Record = records[i]
        for name, target in targets.items():
            value = property_value(target, record)
            if value is not None:
                found[name][i] = value
    return found


def known_counts(task: PropertyPrediction, records: Records) -> dict[str, int]:
    """Return the number of records with a value of each property."""
    targets = {name: scale.target for name, scale in task.scales.items()}
    values = target_values(records, targets)
    return {name: int(np.isfinite(x).sum()) for name, x in values.items()}
