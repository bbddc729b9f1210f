"""Check a grid beside its data, before anything is trained; all faults are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.property_table import has_structures
from crystext.data.row_records import TEXT_COLUMNS
from crystext.data.table_rows import open_table
from crystext.errors import CrystextError, SettingError
from crystext.structures.crystal import Ints
from crystext.structures.record import Record
from crystext.study.cells import GridCell, grid_cells
from crystext.study.grid import Grid, TaskSpec
from crystext.study.study_records import (
    is_shipped,
    pretraining_pool,
    pretraining_records,
    record_content,
)
from crystext.study.targets import n_targets
from crystext.study.task_splits import TaskRecords, read_task
from crystext.study.written_texts import WrittenRecords, learned_vocabularies
from crystext.tokenization.new_tokenizers import LEAST_BPE_VOCABULARY

_PARTS = ("train", "validation", "test")


class TaskCount(NamedTuple):
    """The records of a task by part."""

    task: str
    n_train: int
    n_validation: int
    n_test: int


class StudyRecords(NamedTuple):
    """All records of a study."""

    train: WrittenRecords
    validation: WrittenRecords
    tasks: Mapping[str, TaskRecords]
    task_records: WrittenRecords
    """The different records of all tasks, which networks read once."""
    task_rows: Mapping[str, Ints]
    """Of each task, the row in `task_records` of each of its records."""


class GridPlan(NamedTuple):
    """What a grid will train."""

    cells: list[GridCell]
    tasks: list[TaskCount]
    records: StudyRecords


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
    for name in grid.data.tables:
        faults += _errors_of_table(folder, name, grid)
    tasks: dict[str, TaskRecords] = {}
    for name, spec in grid.tasks.items():
        try:
            tasks[name] = read_task(name, spec, folder, grid.data.max_atoms)
        except CrystextError as error:
            faults.append(f"the task {name}: {error}")
            continue
        faults += _errors_of_parts(name, spec, tasks[name])
    tokenizer_faults = _errors_of_tokenizers(grid)
    records, vocabularies = None, None
    if not faults:
        try:
            records = _study_records(grid, folder, tasks)
        except CrystextError as error:
            faults.append(str(error))
        else:
            faults += _errors_of_texts(grid, records)
            if not tokenizer_faults:
                vocabularies = learned_vocabularies(grid, records.train)
    faults += tokenizer_faults
    cells: list[GridCell] = []
    try:
        cells = grid_cells(grid, n_targets(grid.objective), vocabularies)
    except CrystextError as error:
        faults.append(str(error))
    if faults or records is None:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise SettingError(f"the grid {grid.title!r} cannot be run:{listed}")
    counts = [TaskCount(name, *map(len, task.split)) for name, task in tasks.items()]
    return GridPlan(cells, counts, records)


def _study_records(grid: Grid, folder: Path, tasks: Mapping[str, TaskRecords]) -> StudyRecords:
    """Return the records of a study: those of tests are not for pretraining.

    Raises:
        InputError: a table cannot be read, or there are too few records.
    """
    rows: dict[object, int] = {}
    different: list[Record] = []
    of_task: dict[str, Ints] = {}
    tested: set[object] = set()
    for name, task in tasks.items():
        contents = [record_content(record) for record in task.table.records]
        for content, record in zip(contents, task.table.records, strict=True):
            if content not in rows:
                rows[content] = len(different)
                different.append(record)
        of_task[name] = np.array([rows[content] for content in contents], dtype=np.int64)
        tested.update(contents[i] for i in task.split.test.tolist())
    chosen = pretraining_records(grid, pretraining_pool(grid, folder, tested))
    return StudyRecords(
        WrittenRecords(chosen.train),
        WrittenRecords(chosen.validation),
        tasks,
        WrittenRecords(tuple(different)),
        of_task,
    )


def _errors_of_texts(grid: Grid, records: StudyRecords) -> list[str]:
    """Return texts that no record to learn from, or none of a task, has."""
    faults = []
    for text in grid.texts:
        if not records.train.texts(text):
            faults.append(f"texts: no record of pretraining has the text {text}")
        written = records.task_records.with_text(text)
        faults += [
            f"the task {name} has no record with the text {text}"
            for name, rows in records.task_rows.items()
            if not any(text in written[i].texts for i in rows.tolist())
        ]
    return faults


def _errors_of_table(folder: Path, name: str, grid: Grid) -> list[str]:
    """Return why records of a table have no targets of pretraining, by its columns alone."""
    if is_shipped(folder, name):
        if grid.objective.targets != "descriptors":
            return []
        return ["data: the shipped set has crystals and no SMILES, which descriptors need"]
    path = folder / name
    if not path.exists():
        return [f"data: the table {path} is missing"]
    try:
        is_structures = has_structures(path)
        table = open_table(path) if path.is_file() else None
    except CrystextError as error:
        return [f"data: {error}"]
    if grid.objective.targets == "texts":
        return []
    if grid.objective.targets == "crystal":
        return (
            [] if is_structures else [f"data: {path} has no structures, which crystal targets need"]
        )
    if table is not None and set(table.columns) & set(TEXT_COLUMNS["smiles"]):
        return []
    return [f"data: {path} has no column of SMILES, which descriptors need"]


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
