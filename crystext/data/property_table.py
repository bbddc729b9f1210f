"""Tables of properties: records with texts or crystals, and the targets that their columns hold.

A table of compositions, molecules or crystals becomes records for any method of `crystext predict`:

    formula,gap (eV)          Record(texts={"formula": "NaCl"}, labels={"gap": 5.0})
    NaCl,5.0                  targets={"gap": Property("gap", "gap", unit="eV")}

Cells without a value are nan, counted by reason; rows without a text, or without a value of any
target, are left out, counted by reason. Nothing is dropped silently.

What goes wrong otherwise: a benchmark whose rows were thinned by a reader is another benchmark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystext.data.row_records import RecordReader, require_column
from crystext.data.store import SPLITS, STORE_FILE, read_metadata, read_store
from crystext.data.table_rows import Row, TableRows, open_table
from crystext.data.target_columns import (
    Cells,
    Target,
    count_reasons,
    read_target,
    split_header,
    target_of_header,
)
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.io.read import no_row_error, read_crystals, require_path
from crystext.io.read.tables import NAME_COLUMNS, SPLIT_COLUMN, array_columns, is_equal
from crystext.io.read.tables import TEXT_COLUMNS as STRUCTURE_COLUMNS
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import PROPERTIES, Property, is_known
from crystext.structures.record import Label, Record

_IGNORED_COLUMNS = (*NAME_COLUMNS, SPLIT_COLUMN, "index", "row", "")
"""Columns that number or name rows."""


@dataclass(frozen=True)
class PropertyTable:
    """Records with labels, in the order of their source."""

    records: tuple[Record, ...]
    """N records. `id` is the identifier of the source's row, else the number of the row after the
    name of the file; unknown labels are missing."""
    targets: Mapping[str, Property]
    """Properties that the records have, by the names of their labels."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows that are no records, by reason."""
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Cells of a target without a value, by target and reason; skipped rows count, too."""
    notes: tuple[str, ...] = ()
    """What was assumed, and what cannot be read, a sentence each."""

    def __len__(self) -> int:
        return len(self.records)

    def values(self, name: str) -> Floats:
        """Return the values of a target, shape (N,); nan where missing, 1 and 0 for yes and no.

        Raises:
            SettingError: it is not among the targets.
        """
        if name not in self.targets:
            raise SettingError(
                f"the table has no target {name!r}; it has {', '.join(self.targets) or 'none'}."
                + did_you_mean(name, self.targets)
            )
        return label_values(self.records, name)

    def select(self, indices: Sequence[int] | np.ndarray[Any, Any]) -> PropertyTable:
        """Return the table of some records, by their indices or by a mask of N truth values."""
        chosen = np.arange(len(self))[np.asarray(indices, dtype=None if len(indices) else int)]
        return replace(self, records=tuple(self.records[i] for i in chosen.tolist()))


def label_values(records: Sequence[Record], name: str) -> Floats:
    """Return a label of each record, shape (N,); nan where unknown, 1 and 0 for yes and no."""
    found = [record.labels.get(name) for record in records]
    return np.array([float(x) if is_known(x) else np.nan for x in found], dtype=np.float64)


def has_structures(source: str | Path) -> bool:
    """Return whether a file holds structures: another file than a table, or a table with a column.

    Raises:
        InputError: it is missing, or a table that cannot be read.
    """
    table = open_table(require_path(source))
    if table is None:
        return True
    has_arrays = array_columns(dict.fromkeys(table.columns)) is not None
    return has_arrays or any(x in STRUCTURE_COLUMNS for x in table.columns)


def read_property_table(
    source: str | Path,
    *,
    targets: Sequence[str] | Mapping[str, Property | None] | None = None,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    crystals: bool = True,
    keep_failures: bool = False,
) -> PropertyTable:
    """Read labelled records.

    Args:
        source: a table (CSV, Parquet, JSON or JSON lines, also compressed), a store, or anything
            that `read_crystals` reads; the labels of the latter are those of `PROPERTIES`.
        targets: names of columns or properties, or properties by these names; None is every other
            numeric, boolean or two-class column. An empty list keeps rows without labels, as for
            predicting. A column with an alias of a known property gets the property's name.
        columns: column of a representation, or of `id`, where `row_records.TEXT_COLUMNS` does not
            name it: {"formula": "Alloy"}.
        where: for tables, the value that each of these columns must have.
        crystals: whether to read the structures of a table as crystals, at some 2 ms each, besides
            their texts.
        keep_failures: whether rows that cannot be read stay as failures, so that each gets an
            answer or a reason, as for predicting.

    Raises:
        InputError: nothing can be read, or a target has values in different units or none at all.
        SettingError: there is no such column.
    """
    path = require_path(source)
    if targets is not None and not isinstance(targets, Mapping):
        targets = dict.fromkeys(targets)
    if (path / STORE_FILE).exists():
        if where:
            raise SettingError(f"--where needs a table; {path} is a store")
        return _table_of_crystals(path, _store_records(path), targets, keep_failures)
    table = open_table(path)
    if table is None:
        crystals_of_source = read_crystals(path, where=where)
        return _table_of_crystals(path, crystals_of_source, targets, keep_failures)
    reader = RecordReader(path, table.columns, columns or {}, crystals=crystals)
    return _read_table(path, table, reader, targets, where or {}, keep_failures)


class _Column(NamedTuple):
    """The column of a target."""

    header: str
    property: Property
    keeps_kind: bool
    """Whether the kind of the property is settled; see `read_target`."""


def _read_table(
    path: Path,
    table: TableRows,
    reader: RecordReader,
    targets: Mapping[str, Property | None] | None,
    where: Mapping[str, str],
    keep_failures: bool,
) -> PropertyTable:
    for condition in where:
        require_column(path, condition, table.columns)
    notes: list[str] = []
    chosen = (
        _all_columns([x for x in table.columns if x not in reader.no_targets], notes)
        if targets is None
        else _named_columns(path, table.columns, targets)
    )
    cells = {name: Cells(column.header) for name, column in chosen.items()}
    needed = {*reader.columns, *where, *(column.header for column in chosen.values())}
    found: list[Record] = []
    for number, row in _matching(table.read([x for x in table.columns if x in needed]), where):
        found.append(reader.record(row, number))
        for name, column in chosen.items():
            cells[name].add(row[column.header])
    if not found:
        raise no_row_error(path, where) if where else InputError(f"{path} has no rows")
    if all(record.failure is not None for record in found):
        raise reader.nothing_readable(len(found))
    read: dict[str, Target] = {}
    others = []
    for name, column in chosen.items():
        target = read_target(
            cells[name],
            column.property,
            is_requested=targets is not None,
            keeps_kind=column.keeps_kind,
        )
        if target is None:
            others.append(column.header)
        else:
            read[name] = target
            notes += target.notes
    if others:
        notes.append(f"columns that are not targets: {', '.join(others)}")
    return _labelled(found, read, [*notes, *reader.notes()], keep_failures)


def _matching(rows: Iterable[Row], where: Mapping[str, str]) -> Iterator[tuple[int, Row]]:
    for number, row in enumerate(rows, start=1):
        if all(is_equal(row[column], value) for column, value in where.items()):
            yield number, row


def _all_columns(headers: Sequence[str], notes: list[str]) -> dict[str, _Column]:
    chosen: dict[str, _Column] = {}
    for header in headers:
        if header in _IGNORED_COLUMNS or header.startswith("Unnamed: "):
            continue
        name, entry = target_of_header(header)
        if name in chosen:
            notes.append(
                f"the column {header!r} is not read: {chosen[name].header!r} is {name}, too"
            )
        else:
            chosen[name] = _Column(header, entry, PROPERTIES.get(name) is entry)
    return chosen


def _named_columns(
    path: Path, headers: Sequence[str], targets: Mapping[str, Property | None]
) -> dict[str, _Column]:
    chosen = {}
    for given, settled in targets.items():
        aliases = [given, *(PROPERTIES[given].columns if given in PROPERTIES else ())]
        aliases += [] if settled is None else [settled.name, *settled.columns]
        header = next(
            (x for alias in aliases for x in headers if alias in (x, split_header(x)[0])), None
        )
        if header is None:
            require_column(path, given, headers)
        assert header is not None
        name, entry = target_of_header(header) if settled is None else (given, settled)
        chosen[name] = _Column(header, entry, settled is not None or PROPERTIES.get(name) is entry)
    return chosen


def _labelled(
    rows: Sequence[Record],
    targets: Mapping[str, Target],
    notes: Sequence[str],
    keep_failures: bool,
) -> PropertyTable:
    """Return the table of the rows that can be read, with the labels that they have."""
    skipped: Counter[str] = Counter()
    records = []
    for i, record in enumerate(rows):
        if record.failure is not None and not keep_failures:
            skipped[record.failure.message] += 1
            continue
        labels: dict[str, Label] = {
            name: bool(x.values[i]) if x.property.kind == "boolean" else float(x.values[i])
            for name, x in targets.items()
            if not x.reasons[i]
        }
        if labels or not targets:
            records.append(replace(record, labels=labels))
        elif len(targets) == 1:
            ((name, target),) = targets.items()
            skipped[f"{name}: {target.reasons[i]}"] += 1
        else:
            skipped["no value of any target"] += 1
    return PropertyTable(
        tuple(records),
        {name: target.property for name, target in targets.items()},
        dict(skipped.most_common()),
        {name: count for name, x in targets.items() if (count := count_reasons(x))},
        tuple(notes),
    )


def _labels_of_record(record: Record, targets: Mapping[str, Property]) -> dict[str, Label]:
    """Return the labels of a record, those that follow from its crystal included."""
    if record.crystal is None:
        return {name: x for name in targets if is_known(x := record.labels.get(name))}
    values = {name: entry.value(record.crystal, record.labels) for name, entry in targets.items()}
    return {name: value for name, value in values.items() if value is not None}


def _store_records(path: Path) -> Iterator[Record]:
    for split in SPLITS:
        if split in read_metadata(path).get("splits", {}):
            dataset = read_store(path, split)
            for i in range(len(dataset)):
                yield replace(dataset[i], split=split, id=f"{split}-{i + 1}")


def _table_of_crystals(
    path: Path,
    records: Iterable[Record],
    targets: Mapping[str, Property | None] | None,
    keep_failures: bool,
) -> PropertyTable:
    """Return records with the labels that their source gives, or that follow from the crystal."""
    known: list[Record] = []
    skipped: Counter[str] = Counter()
    for record in records:
        if record.crystal is None and not keep_failures:
            skipped[record.failure_kind or "no crystal"] += 1
        else:
            known.append(record)
    if not any(record.crystal is not None for record in known):
        raise InputError(f"{path} holds no crystal that can be read")
    if targets is None:
        names = {name for record in known for name, x in record.labels.items() if is_known(x)}
        targets = {
            name: entry
            for name, entry in PROPERTIES.items()
            if name in names and entry.kind != "category"
        }
    chosen: dict[str, Property] = {}
    for name, given in targets.items():
        if given is None and name not in PROPERTIES:
            raise SettingError(
                f"no property is called {name!r}; crystals have {', '.join(PROPERTIES)}."
                + did_you_mean(name, PROPERTIES)
            )
        chosen[name] = entry = given or PROPERTIES[name]
        if entry.kind == "category":
            raise InputError(f"{name} is a category; expected a number, or yes and no")
    missing: Counter[str] = Counter()
    labelled = []
    for i, record in enumerate(known, start=1):
        labels = _labels_of_record(record, chosen)
        missing.update(chosen.keys() - labels.keys())
        if labels or not chosen:
            labelled.append(replace(record, labels=labels, id=record.id or record.name or str(i)))
        else:
            skipped["no value of any target"] += 1
    if empty := [name for name in chosen if missing[name] == len(known)]:
        raise InputError(f"no crystal of {path} has a value of {empty[0]}")
    return PropertyTable(
        tuple(labelled),
        chosen,
        dict(skipped.most_common()),
        {name: {"no label": count} for name, count in missing.items()},
    )
