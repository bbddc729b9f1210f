"""The records of a task, and their division into three parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.property_splits import Split, random_split, scaffold_split
from crystext.data.property_table import PropertyTable
from crystext.errors import InputError
from crystext.structures.crystal import Floats
from crystext.structures.properties import chemical_system
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.study.grid import TaskSpec, TaskSplit
from crystext.study.study_records import (
    is_small,
    read_records,
    table_exists,
    with_crystals,
)
from crystext.tasks.representations import amounts


class TaskRecords(NamedTuple):
    """A task's records with labels, divided."""

    table: PropertyTable
    values: Floats
    """Labels, shape (N,): 1 and 0 for yes and no."""
    split: Split


def read_task(name: str, spec: TaskSpec, folder: Path, max_atoms: int | None = None) -> TaskRecords:
    """Read and divide the records of a task.

    Args:
        name: of the task.
        spec: of the task.
        folder: of the data.
        max_atoms: larger crystals are left out.

    Raises:
        InputError: the table is missing, has no such label, or cannot be divided so.
        SettingError: it has no such column.
        UnavailableError: a split by scaffold needs RDKit.
    """
    if not table_exists(folder, spec.table):
        raise InputError(f"the table {folder / spec.table} is missing")
    target = Property(spec.target, name, kind=spec.kind)
    table = read_records(folder, spec.table, {spec.target: target})
    values = table.values(spec.target)
    small = np.array([is_small(record, max_atoms) for record in table.records], dtype=bool)
    labelled = np.flatnonzero(np.isfinite(values) & small)
    if not len(labelled):
        raise InputError(f"{folder / spec.table} has no label of {spec.target}")
    if spec.max_records is not None and len(labelled) > spec.max_records:
        generator = np.random.default_rng(spec.split.seed)
        labelled = np.sort(generator.choice(labelled, spec.max_records, replace=False))
    table = table.select(labelled)
    table = replace(table, records=with_crystals(table.records))
    values = values[labelled]
    if max_atoms is not None:
        # Those of CIF texts have their crystals only now.
        kept = np.array([is_small(record, max_atoms) for record in table.records], dtype=bool)
        table, values = table.select(kept), values[kept]
    return TaskRecords(table, values, split_records(table.records, spec.split))


def split_records(records: Sequence[Record], spec: TaskSplit) -> Split:
    """Return the division of records.

    Raises:
        InputError: a record lacks what the split goes by.
        UnavailableError: a split by scaffold needs RDKit.
    """
    fractions = (1 - spec.validation - spec.test, spec.validation, spec.test)
    if spec.kind == "scaffold":
        return scaffold_split(records, fractions)
    if spec.kind == "random":
        return random_split(len(records), fractions, spec.seed)
    return chemical_system_split(records, fractions, spec.seed)


def chemical_system_split(
    records: Sequence[Record], fractions: tuple[float, float, float], seed: int = 0
) -> Split:
    """Return a split of crystals in which no set of elements is in two parts.

    Systems in random order fill test, then validation, then train, each up to its fraction. What
    goes wrong otherwise: polymorphs and alloys of the training crystals make the test easy.

    Args:
        records: of crystals or formulas.
        fractions: of train, validation and test.
        seed: of the order.

    Raises:
        InputError: a record has no composition.
        SettingError: a formula is invalid.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        members[_system(record, i)].append(i)
    names = sorted(members)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    sizes = [round(fraction * len(records)) for fraction in fractions]
    for i in np.random.default_rng(seed).permutation(len(names)):
        group = members[names[i]]
        open_parts = (part for part in (2, 1) if len(parts[part]) + len(group) <= sizes[part])
        parts[next(open_parts, 0)].extend(group)
    return Split(*(np.array(sorted(part), dtype=np.int64) for part in parts))


def _system(record: Record, index: int) -> str:
    if record.crystal is not None:
        return chemical_system(record.crystal)
    found = amounts(record)
    if not found:
        raise InputError(
            f"{record.name or f'record {index + 1}'} has no composition; expected crystals or "
            "formulas, so that they can be split by chemical system"
        )
    return "-".join(sorted(found))
