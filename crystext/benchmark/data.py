"""The data of a suite: tables read from the user's folder, and folds of training and test records.

Each data set is read once, whole, for all of its tasks: records keep the labels of all properties,
so that examples can be chosen among complete ones. A task's records are those that have its label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from crystext.benchmark.suite import BenchmarkTask, SplitSpec, Suite, dataset_files
from crystext.data.descriptions import with_descriptions
from crystext.data.property_splits import (
    Fold,
    Leak,
    formula_folds,
    leaks,
    matbench_folds,
    random_folds,
    random_split,
    scaffold_split,
)
from crystext.data.property_table import PropertyTable, read_property_table
from crystext.data.table_rows import open_table
from crystext.errors import InputError, did_you_mean
from crystext.runtime.files import file_digest
from crystext.structures.property_schema import Property, is_known
from crystext.structures.record import Record

_HASHED_BYTES = 2**28
"""Of larger files the size and the ends are compared, not all bytes."""


@dataclass(frozen=True)
class TaskFold:
    """One division of a task's records."""

    name: str
    """`test` if there is only one, else `fold 1`, `fold 2`, ..."""
    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    test: tuple[Record, ...]

    @cached_property
    def leak(self) -> Leak:
        """Test records whose composition or molecule stands in train."""
        return leaks(self.train, self.test)


@dataclass(frozen=True)
class TaskData:
    """The records of a task."""

    task: BenchmarkTask
    target: Property
    folds: tuple[TaskFold, ...]
    skipped: Mapping[str, int]
    """Rows that are no records of this task, by reason."""


class SuiteData:
    """The tables of a suite's data sets in a folder; read when they are first needed."""

    def __init__(
        self,
        suite: Suite,
        folder: Path,
        input_name: str,
        tasks: Sequence[BenchmarkTask],
        *,
        crystals: bool = False,
    ) -> None:
        """Describe the data.

        Args:
            suite: the benchmark.
            folder: the user's.
            input_name: type of input, one of the suite's.
            tasks: the tasks that will be loaded.
            crystals: whether to read CIFs as crystals, if they are the input.

        Raises:
            InputError: a file is missing; the message lists all that are.
        """
        self.suite, self.folder, self.input_name = suite, folder, input_name
        self._tasks = tasks
        is_cif = suite.inputs[input_name].representation == "cif"
        self._reads_crystals = crystals and is_cif
        self._cached: tuple[str, dict[str, PropertyTable]] | None = None
        missing = [str(path) for path in self.paths() if not path.is_file()]
        if missing:
            raise InputError(_missing_files(folder, missing))

    def paths(self) -> list[Path]:
        """Return the files of the tasks' data sets."""
        datasets = dict.fromkeys(task.dataset for task in self._tasks)
        return [path for name in datasets for path in self.files(name).values()]

    def files(self, dataset: str) -> dict[str, Path]:
        """Return the files of a data set by part, in this folder.

        A folder that holds the files of the only data set itself is accepted, too.
        """
        found = {}
        for part, name in dataset_files(self.suite, dataset).items():
            path = self.folder / name
            inside = self.folder / Path(name).name
            only_one = len({task.dataset for task in self._tasks}) == 1
            found[part] = inside if only_one and not path.exists() and inside.exists() else path
        return found

    def digests(self) -> dict[str, str]:
        """Return a digest of each file, by data set and part."""
        datasets = dict.fromkeys(task.dataset for task in self._tasks)
        return {
            f"{name}/{part}": _digest(path)
            for name in datasets
            for part, path in self.files(name).items()
        }

    def tables(self, dataset: str) -> dict[str, PropertyTable]:
        """Return the tables of a data set by part; the last data set is kept in memory.

        Raises:
            InputError: a table lacks a column, or cannot be read.
        """
        if self._cached is None or self._cached[0] != dataset:
            files = self.files(dataset)
            self._cached = dataset, {part: self._read(dataset, x) for part, x in files.items()}
        return self._cached[1]

    def load(self, task: BenchmarkTask) -> TaskData:
        """Return the records of a task, divided.

        Raises:
            InputError: a table lacks a column, or too few records have the label.
        """
        tables = self.tables(task.dataset)
        target = task.target()
        parts = {part: _labelled(table, task.label) for part, table in tables.items()}
        for part, records in parts.items():
            if not records:
                raise InputError(
                    f"{task.name}: no row of {self.files(task.dataset)[part]} has both a value of "
                    f"{task.label} and a {self.input_name}"
                )
        skipped = sum(
            (
                Counter(table.skipped) + Counter(table.missing.get(task.label, {}))
                for table in tables.values()
            ),
            Counter[str](),
        )
        if task.split is None:
            whole = TaskFold("test", parts["train"], parts.get("validation", ()), parts["test"])
            return TaskData(task, target, (whole,), skipped)
        folds = split_records(parts["table"], task.label, target, task.split)
        return TaskData(task, target, tuple(folds), skipped)

    def _read(self, dataset: str, path: Path) -> PropertyTable:
        spec = self.suite.inputs[self.input_name]
        names = column_names(path)
        column = next((x for x in spec.columns if x in names), None)
        cifs = None
        if column is None and spec.representation == "description":
            # They can be written from crystals.
            cifs = self._column_of("cif", names)
        if column is None and cifs is None:
            raise InputError(
                f"{path} has no column {' or '.join(map(repr, spec.columns))} for the input "
                f"{self.input_name}; it has {', '.join(names)}"
            )
        columns = {"cif": cifs} if cifs is not None else {spec.representation: str(column)}
        if identifier := next((x for x in self.suite.id if x in names), None):
            columns["id"] = identifier
        # Compositions are compared for leaks, whatever the input is.
        if (formulas := self._column_of("formula", names)) is not None:
            columns.setdefault("formula", formulas)
        requested = {task.label for task in self._tasks if task.dataset == dataset}
        targets: dict[str, Property | None] = {}
        lacking = []
        for name, entry in self.suite.datasets[dataset].properties.items():
            if (entry.column or name) in names:
                task = BenchmarkTask(dataset, name, entry, None)
                targets[name] = task.target()
            elif name in requested:
                lacking.append((entry.column or name) + did_you_mean(entry.column or name, names))
        if lacking:
            raise InputError(
                f"{path} lacks {', '.join(lacking)}; it has {', '.join(names)}. Choose other "
                "--tasks, or complete the file"
            )
        table = read_property_table(
            path,
            targets=targets,
            columns=columns,
            crystals=cifs is not None or self._reads_crystals,
        )
        records = with_descriptions(table.records) if cifs is not None else table.records
        return replace(table, records=_with_unique_ids(records))

    def _column_of(self, representation: str, names: Sequence[str]) -> str | None:
        """Return the column of a representation that some input of the suite reads."""
        specs = [x for x in self.suite.inputs.values() if x.representation == representation]
        return next((x for spec in specs for x in spec.columns if x in names), None)


def column_names(path: Path) -> list[str]:
    """Return the columns of a table.

    Raises:
        InputError: it is not a table.
    """
    rows = open_table(path)
    if rows is None:
        raise InputError(f"{path} is not a table; expected CSV, Parquet, JSON or JSON lines")
    return list(rows.columns)


def read_columns(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of some columns of a table, as texts.

    Raises:
        InputError: it is not a table.
    """
    rows = open_table(path)
    if rows is None:
        raise InputError(f"{path} is not a table; expected CSV, Parquet, JSON or JSON lines")
    cells: dict[str, list[str]] = {name: [] for name in names}
    for row in rows.read(list(names)):
        for name, values in cells.items():
            values.append("" if row[name] is None else str(row[name]))
    return cells


def split_records(
    records: Sequence[Record], name: str, target: Property, split: SplitSpec
) -> list[TaskFold]:
    """Divide records as a suite says.

    Raises:
        InputError: there are too few records, or they are not molecules.
        UnavailableError: RDKit, which scaffolds need, is not installed.
    """
    if split.kind in ("random", "scaffold"):
        fractions = (1 - split.test - split.validation, split.validation, split.test)
        parts = (
            scaffold_split(records, fractions)
            if split.kind == "scaffold"
            else random_split(len(records), fractions, split.seed)
        )
        train, validation, test = (tuple(records[i] for i in part.tolist()) for part in parts)
        if not (train and test):
            raise InputError(
                f"{name}: {len(records)} records give {len(train)} for training and {len(test)} "
                "for testing; expected at least one of each"
            )
        return [TaskFold("test", train, validation, test)]
    folds: list[Fold]
    if split.kind == "matbench":
        folds = matbench_folds(records, name, target)
    elif split.kind == "random_folds":
        folds = random_folds(len(records), split.folds, split.seed)
    else:
        folds = formula_folds(records, split.folds, split.seed)
    return [
        TaskFold(
            f"fold {i}",
            tuple(records[j] for j in fold.train.tolist()),
            (),
            tuple(records[j] for j in fold.test.tolist()),
        )
        for i, fold in enumerate(folds, start=1)
    ]


def _labelled(table: PropertyTable, name: str) -> tuple[Record, ...]:
    return tuple(record for record in table.records if is_known(record.labels.get(name)))


def _with_unique_ids(records: Sequence[Record]) -> tuple[Record, ...]:
    """Number repeated ids, so that an answer belongs to one record."""
    seen: Counter[str] = Counter()
    unique = []
    for record in records:
        seen[record.id] += 1
        number = seen[record.id]
        unique.append(record if number == 1 else replace(record, id=f"{record.id}#{number}"))
    return tuple(unique)


def _digest(path: Path) -> str:
    size = path.stat().st_size
    if size <= _HASHED_BYTES:
        return file_digest(path)
    import hashlib

    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(2**20))
        file.seek(-(2**20), 2)
        digest.update(file.read())
    return digest.hexdigest()


def _missing_files(folder: Path, missing: Sequence[str]) -> str:
    shown = "\n  ".join(missing[:5])
    more = f"\n  and {len(missing) - 5} more" if len(missing) > 5 else ""
    return (
        f"the data folder {folder} lacks {len(missing)} of the suite's files:\n  {shown}{more}\n"
        "Give the folder that holds them as --data, or choose data sets by --tasks"
    )
