"""Check a grid beside its data, before anything is trained; all faults are told at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.property_table import has_structures
from crystext.data.row_records import TEXT_COLUMNS
from crystext.data.table_rows import open_table
from crystext.errors import CrystextError, SettingError
from crystext.study.grid import Grid, GridCell, TaskSpec, grid_cells
from crystext.study.study_records import needed_records, pretraining_pool
from crystext.study.targets import n_targets
from crystext.study.task_splits import TaskRecords, read_task
from crystext.tokenization.new_tokenizers import LEAST_BPE_VOCABULARY

_PARTS = ("train", "validation", "test")


class TaskCount(NamedTuple):
    """The records of a task by part."""

    task: str
    n_train: int
    n_validation: int
    n_test: int


class GridPlan(NamedTuple):
    """What a grid will train."""

    cells: list[GridCell]
    tasks: list[TaskCount]


def check_grid(grid: Grid, folder: Path) -> GridPlan:
    """Return what a grid will train on these data.

    Args:
        grid: to check.
        folder: with its tables.

    Raises:
        SettingError: sizes that cannot be matched, missing tables, tasks without labels, parts
            without records or with one class: a line each.
    """
    faults: list[str] = []
    cells: list[GridCell] = []
    tasks: list[TaskCount] = []
    try:
        cells = grid_cells(grid, n_targets(grid.objective))
    except CrystextError as error:
        faults.append(str(error))
    for name in grid.data.tables:
        faults += _errors_of_table(folder / name, grid)
    for name, spec in grid.tasks.items():
        try:
            records = read_task(name, spec, folder)
        except CrystextError as error:
            faults.append(f"the task {name}: {error}")
            continue
        faults += _errors_of_parts(name, spec, records)
        tasks.append(TaskCount(name, *(len(part) for part in records.split)))
    if not any(fault.startswith("data: ") for fault in faults):
        faults += _errors_of_amounts(grid, folder)
    faults += _errors_of_tokenizers(grid)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise SettingError(f"the grid {grid.title!r} cannot be run:{listed}")
    return GridPlan(cells, tasks)


def _errors_of_table(path: Path, grid: Grid) -> list[str]:
    """Return why records of a table have no targets of pretraining, by its columns alone."""
    if not path.is_file():
        return [f"data: the table {path} is missing"]
    try:
        is_structures, table = has_structures(path), open_table(path)
    except CrystextError as error:
        return [f"data: {error}"]
    if grid.objective.targets == "crystal":
        return (
            [] if is_structures else [f"data: {path} has no structures, which crystal targets need"]
        )
    if table is not None and set(table.columns) & set(TEXT_COLUMNS["smiles"]):
        return []
    return [f"data: {path} has no column of SMILES, which descriptors need"]


def _errors_of_amounts(grid: Grid, folder: Path) -> list[str]:
    """Return whether the tables have fewer records than the largest pretraining needs."""
    try:
        found = len(pretraining_pool(grid, folder))
    except CrystextError as error:
        return [f"data: {error}"]
    largest, held_out = needed_records(grid)
    if found >= largest + held_out:
        return []
    return [
        f"data.sizes: {largest:,} records to learn and {held_out:,} held out are more than the "
        f"{found:,} different ones that the tables have"
    ]


def _errors_of_tokenizers(grid: Grid) -> list[str]:
    """Return tokenizers that no network can have, or that cannot read the texts."""
    faults = []
    for name, spec in grid.tokenizers.items():
        if spec.kind == "byte_bpe" and spec.vocabulary < LEAST_BPE_VOCABULARY:
            faults.append(
                f"the tokenizer {name} has a vocabulary of {spec.vocabulary}; expected "
                f"{LEAST_BPE_VOCABULARY} or more for byte pairs, which have a token for each byte"
            )
        if spec.kind == "crystal" and "smiles" in grid.texts:
            faults.append(f"the tokenizer {name} is for crystals; expected another for smiles")
    return faults


def _errors_of_parts(name: str, spec: TaskSpec, records: TaskRecords) -> list[str]:
    faults = []
    for part, indices in zip(_PARTS, records.split, strict=True):
        values = records.values[indices]
        if not len(values):
            faults.append(f"the task {name} has no record to {part}; split it in another way")
        elif spec.kind == "boolean" and len(np.unique(values)) < 2:
            only = "yes" if values[0] else "no"
            faults.append(
                f"the task {name} has one class in its {part} part: all {len(values):,} records "
                f"are {only}, and no ROC AUC is defined; take another split, seed or more records"
            )
        elif spec.kind == "number" and np.ptp(values) == 0:
            faults.append(f"the task {name} has one value in its {part} part, {values[0]:g}")
    return faults
