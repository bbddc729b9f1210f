"""Splits of a task's records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.errors import InputError
from crystext.structures.record import Record
from crystext.study.grid import TaskSpec, TaskSplit
from crystext.study.task_splits import chemical_system_split, read_task
from crystext.tasks.representations import amounts
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.study.example_grid import write_table


def test_no_set_of_elements_is_in_two_parts() -> None:
    records = [
        Record(texts={"formula": f"{a}{i + 1}{b}"})
        for a in ("Na", "Mg", "Si", "K", "Al")
        for b in ("O", "S")
        for i in range(4)
    ]
    records += [Record(crystal=crystal) for crystal in EXAMPLE_CRYSTALS.values()]
    split = chemical_system_split(records, (0.6, 0.2, 0.2), seed=1)
    assert sorted(np.concatenate(split)) == list(range(len(records)))
    systems = [{frozenset(amounts(records[i]) or ()) for i in part} for part in split]
    assert sum(map(len, systems)) == len(set().union(*systems))
    assert all(len(part) for part in split)
    again = chemical_system_split(records, (0.6, 0.2, 0.2), seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(split, again, strict=True))
    with pytest.raises(InputError, match="has no composition"):
        chemical_system_split([Record(texts={"smiles": "CCO"})], (0.8, 0.1, 0.1))


def test_a_large_table_is_cut_at_random_and_the_same_each_time(tmp_path: Path) -> None:
    spec = TaskSpec(table="table.csv", target="y", split=TaskSplit(kind="random"), max_records=30)
    first, second = (read_task("task", spec, write_table(tmp_path)) for _ in range(2))
    assert len(first.table) == len(first.values) == 30
    assert first.values.tolist() == second.values.tolist() != list(range(30))
    assert [len(part) for part in first.split] == [24, 3, 3]
