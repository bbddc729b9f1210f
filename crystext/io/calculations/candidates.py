"""Read candidates in their order of priority, with tags that say where each comes from.

The order is that of a column of the source, else the order given. Tags are the values of a row
besides its structure, and for a run of `crystext sample` its seed, model and log-probabilities.
Tables may name files of structures instead of holding them, as `candidates.csv` does beside its
CIFs. Values come from files that anyone may have written: they are short, of plain types, and names
of files stay within the folder of the table.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from crystext.errors import InputError, SettingError, did_you_mean
from crystext.io.read import as_crystal, read_crystals, require_path
from crystext.io.read.crystext_outputs import (
    ATTEMPTS_FILE,
    RELAXED_FILE,
    SELECTED_FILE,
    parse_attempt,
)
from crystext.io.read.tables import ARRAY_COLUMNS, TEXT_COLUMNS
from crystext.structures.record import UNREADABLE, Failure, Label, Record

CANDIDATES_FILE = "candidates.csv"
"""Table of ranked candidates; it may lie beside its CIFs."""

RANK_COLUMN, INDEX_COLUMN = "rank", "index"
"""Columns with the order, unless another is named, and with the place in the source."""

FILE_COLUMNS = ("file", "cif_file", "path")
"""Columns that may name the file of a row's structure, relative to the table."""

_STRUCTURE_COLUMNS = {
    *TEXT_COLUMNS, *(name for names in ARRAY_COLUMNS.values() for name in names)
}  # fmt: skip

_RESERVED = {
    *("name", "place", "path", "energy", "free_energy", "forces", "stress", "virial", "dipole"),
    *("magmom", "magmoms", "charges", "pbc", "lattice", "properties", "cell", "pos", "species"),
}
"""Keys that have a meaning in extended XYZ or in the index; a column of such a name becomes
`source_NAME`."""

_MAX_TAG_CHARACTERS = 200
_MAX_TAGS = 60
_RUN_FILES = (ATTEMPTS_FILE, SELECTED_FILE)
_RUN_KEYS = ("index", "log_probability", "satisfied", "n_tokens")
_SELECTED_KEYS = ("rank", "predicted_e_above_hull", "log_probability_per_token")
"""Values of a sample that become tags, and those of a chosen one."""
_SETTINGS_KEYS = ("seed", "model", "temperature", "format")
"""Settings of a run that become tags."""


class SourceRow(NamedTuple):
    """A record of a source, with its tags."""

    record: Record
    tags: dict[str, Label]


def read_candidates(
    source: Path | str | Iterable[Any],
    *,
    rank_by: str | None = None,
    energies: Path | str | None = None,
    lenient: bool = False,
) -> list[SourceRow]:
    """Return the records of a source with their tags, the most promising first.

    Args:
        source: what `read_crystals` reads, or crystals in Python: see `as_crystal`.
        rank_by: column of numbers to order by, the least first; `-NAME` puts the greatest first.
            None takes `rank` where there is one, else the order given. Rows without a value come
            last, as they are ordered.
        energies: a CSV table of `crystext hull` for this source, whose `index` is the place in the
            source; its values become tags.
        lenient: see `read_crystals`.

    Raises:
        InputError: the source or the table is missing, or nothing in the source can be read.
        SettingError: the source has no such column, or the table belongs to another source.
    """
    if isinstance(source, str | Path):
        rows = _read_rows(Path(source), lenient)
    else:
        rows = [_row_of_object(i, item) for i, item in enumerate(source)]
    if energies is not None:
        rows = _joined(rows, Path(energies))
    if not rows:
        raise InputError("there are no candidates; give at least one crystal")
    return _ordered(rows, rank_by)


def _read_rows(source: Path, lenient: bool) -> list[SourceRow]:
    table = _table_in(source)
    values = [] if table is None else _table_values(table)
    if table is not None and (column := _file_column(values)):
        records = [_record_of_file(table.parent, row, column, lenient) for row in values]
        if all(record.crystal is None for record in records):
            raise InputError(f"{table}: {records[0].message}")
    else:
        records = list(read_crystals(source, lenient=lenient))
    if values and len(values) != len(records):
        note = f"{table} has {len(values):,} rows for {len(records):,} structures: none is read"
        records = [replace(record, notes=(*record.notes, note)) for record in records]
    if len(values) != len(records):
        values = [{} for _ in records]
    run = _run_settings(table)
    return [
        SourceRow(record, _tags(str(source), i, record, {**run, **row}))
        for i, (record, row) in enumerate(zip(records, values, strict=True))
    ]


def _row_of_object(index: int, item: Any) -> SourceRow:
    """Return the row of a crystal given in Python; a sample brings its own tags."""
    name = str(getattr(item, "name", "") or f"crystal-{index + 1}")
    try:
        record = item if isinstance(item, Record) else Record(as_crystal(item), name=name)
    except InputError as error:
        record = Record.failed(name, UNREADABLE, str(error))
    values = {key: getattr(item, key, None) for key in (*_RUN_KEYS, "seed")}
    return SourceRow(record, _tags("", index, record, values))


def _joined(rows: list[SourceRow], energies: Path) -> list[SourceRow]:
    """Return the rows with the values that a table has for their places in the source."""
    values = _table_values(require_path(energies))
    places = [_number(value.get(INDEX_COLUMN)) for value in values]
    known = {place: value for place, value in zip(places, values, strict=True) if place is not None}
    if not known:
        raise SettingError(
            f"{energies} has no numbers in a column {INDEX_COLUMN!r}; expected a CSV table of "
            "crystext hull"
        )
    names = {place: value.get("name") for place, value in known.items()}
    for i, row in enumerate(rows):
        if names.get(i) not in (None, row.record.name):
            raise SettingError(
                f"{energies} has {names[i]!r} at the index {i}, where the source has "
                f"{row.record.name!r}; expected the table that crystext hull made of this source"
            )
    skip = (INDEX_COLUMN, "name")
    further = [_plain_values(known.get(i, {}), skip) for i in range(len(rows))]
    return [
        SourceRow(row.record, {**row.tags, **more}) for row, more in zip(rows, further, strict=True)
    ]


def _table_in(source: Path) -> Path | None:
    """Return the table of a source: itself, or the one that a folder is known by."""
    if source.is_dir():
        named = (
            source / name for name in (CANDIDATES_FILE, RELAXED_FILE, SELECTED_FILE, ATTEMPTS_FILE)
        )
        return next((path for path in named if path.is_file()), None)
    return source if source.suffix.lower() in (".csv", ".parquet", ".json", ".jsonl") else None


def _table_values(table: Path) -> list[dict[str, Any]]:
    """Return the rows of a table without columns of structures; empty if it is not one."""
    try:
        if table.suffix == ".parquet":
            import pyarrow.parquet as pq

            names = pq.read_schema(table).names
            wanted = [name for name in names if name not in _STRUCTURE_COLUMNS]
            rows: list[dict[str, Any]] = pq.read_table(table, columns=wanted).to_pylist()
            return rows
        if table.suffix == ".csv":
            csv.field_size_limit(2**30)
            with table.open(newline="", encoding="utf-8-sig") as file:
                return [dict(row) for row in csv.DictReader(file)]
        if table.name in _RUN_FILES:
            return _sampled(table)
        text = table.read_text(encoding="utf-8")
        if table.suffix == ".json":
            found = json.loads(text)
        else:
            found = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, ValueError, LookupError, csv.Error):
        return []  # What is wrong with it is said by its reader.
    return found if isinstance(found, list) and all(isinstance(x, dict) for x in found) else []


def _sampled(table: Path) -> list[dict[str, Any]]:
    """Return the values of the samples that are crystals, in their order."""
    values: list[dict[str, Any]] = []
    with table.open(encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                break
            try:
                attempt = parse_attempt(json.loads(line))
            except (ValueError, LookupError, TypeError, RecursionError):
                values.append({})
                continue
            if attempt["failure"] is None:
                values.append({key: attempt.get(key) for key in (*_RUN_KEYS, *_SELECTED_KEYS)})
    return values


def _run_settings(table: Path | None) -> dict[str, Any]:
    """Return the settings of the run that wrote a table, as far as they become tags."""
    if table is None or table.name not in _RUN_FILES:
        return {}
    try:
        settings = json.loads((table.parent / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: settings.get(key) for key in _SETTINGS_KEYS} if isinstance(settings, dict) else {}


def _file_column(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column that names files; None if the rows hold their structures themselves."""
    if not rows or _STRUCTURE_COLUMNS & rows[0].keys():
        return None
    return next((name for name in FILE_COLUMNS if name in rows[0]), None)


def _record_of_file(folder: Path, row: Mapping[str, Any], column: str, lenient: bool) -> Record:
    """Return the record of the file that a row names."""
    name = str(row.get("name") or row[column] or "a row without a file")
    path = folder / str(row[column] or "")
    try:
        if not row[column] or not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"its column {column} is {str(row[column])[:80]!r}; expected a file in the folder "
                "of the table"
            )
        records = list(read_crystals(path, lenient=lenient))
    except InputError as error:
        return Record(name=name, failure=Failure(UNREADABLE, str(error)))
    if len(records) != 1:
        message = f"{path} holds {len(records)} structures; expected one"
        return Record(name=name, failure=Failure(UNREADABLE, message))
    found = records[0]
    return Record(found.crystal, found.labels, name, failure=found.failure, notes=found.notes)


def _tags(source: str, index: int, record: Record, values: Mapping[str, Any]) -> dict[str, Label]:
    """Return the tags of a record: those of its row, then its labels; plain values only."""
    tags: dict[str, Label] = {"source": source, "index": index, "source_name": record.name}
    if record.id:
        tags["id"] = record.id
    tags |= _plain_values({**record.labels, **values})
    return {key: value for key, value in tags.items() if value != ""}


def _plain_values(values: Mapping[str, Any], skip: Sequence[str] = ()) -> dict[str, Label]:
    """Return the values that can be tags, by keys that every format can hold."""
    found: dict[str, Label] = {}
    for key, value in values.items():
        plain = _plain_value(value)
        word = re.sub(r"\W+", "_", str(key).lower(), flags=re.ASCII).strip("_")
        word = f"source_{word}" if word in _RESERVED else word
        is_new = word and word not in _STRUCTURE_COLUMNS and key not in skip
        if plain not in (None, "") and is_new and len(found) < _MAX_TAGS:
            assert plain is not None
            found[word] = plain
    return found


def _plain_value(value: Any) -> Label | None:
    """Return a number, yes or no, or a short text in one line; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > _MAX_TAG_CHARACTERS:
        return None
    text = " ".join(value.split())
    number = _number(text)
    if number is None:
        return text if text.isprintable() else None
    return int(number) if number.is_integer() and re.fullmatch(r"[+-]?\d{1,15}", text) else number


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _ordered(rows: list[SourceRow], rank_by: str | None) -> list[SourceRow]:
    """Return the rows in their order of priority."""
    names = list(dict.fromkeys(key for row in rows for key in row.tags))
    column = RANK_COLUMN if rank_by is None else rank_by.removeprefix("-")
    if rank_by is not None and not any(_number(row.tags.get(column)) is not None for row in rows):
        what = "has no number in the column" if column in names else "has no column"
        raise SettingError(
            f"the source {what} {column!r} to rank by; found {', '.join(names)}."
            + did_you_mean(column, names)
        )
    sign = -1.0 if rank_by is not None and rank_by.startswith("-") else 1.0

    def key(row: SourceRow) -> float:
        number = _number(row.tags.get(column))
        return math.inf if number is None else sign * number

    return sorted(rows, key=key)
