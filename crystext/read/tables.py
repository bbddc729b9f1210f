"""Rows of CSV, Parquet and JSON tables to pieces, with their labels, without parsing structures."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from crystext.crystal import lengths_and_angles
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.properties import LABELS
from crystext.read.parse import Piece, as_text, kind_of_text

MAX_JSON = 2**30
"""Bytes that a JSON table may have: it is loaded whole."""

TEXT_COLUMNS = ("cif", "poscar", "structure", "cif_structure")
"""Columns that may hold a structure as CIF, as POSCAR or as pymatgen's dictionary; first wins."""

ARRAY_COLUMNS = {
    "lengths": ("lengths",),
    "angles": ("angles",),
    "numbers": ("numbers", "species", "atom_types"),
    "positions": ("frac_coords", "positions", "coords"),
}
"""Columns that together hold a structure as arrays, with the names that others give them; the first
found wins. Positions are fractional whatever they are called; a table that says so for some column,
as pymatgen's names do, may have Cartesian ones beside it."""

ID_COLUMNS = ("material_id", "id", "mp_id")
"""Columns that tell the rows of a table apart."""

NAME_COLUMNS = ("name", *ID_COLUMNS)
"""Columns that say what a row is called. A name such as `salt` may be that of many rows."""

LABEL_COLUMNS = {
    "space_group": ("space_group", "spacegroup.number", "spacegroup", "spacegroup_number"),
    "formation_energy": ("formation_energy", "formation_energy_per_atom"),
    "band_gap": ("band_gap", "gap pbe"),
    "e_above_hull": ("e_above_hull", "energy_above_hull"),
}
"""Names of the labels in the CDVAE splits, matbench and Materials Project; the first found wins."""
assert tuple(LABEL_COLUMNS) == LABELS

SPLIT = "split"
"""Column of the split that a row belongs to; a JSON table's outer keys are taken for it."""

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What data sets call their splits, and what they are called here."""

_BLOCK = 32 * 2**20
"""Bytes of a CSV file that are read at a time; a row must fit."""


def csv_pieces(
    open_: Callable[[], BinaryIO], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    """Yield the rows of a CSV table."""
    import pyarrow as pa

    try:
        with _csv_batches(open_, []) as header:
            columns = _columns(header.schema.names, where)
        with _csv_batches(open_, columns) as batches:
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from _row_pieces(rows, stem, where)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise InputError(f"it is no CSV table that can be read: {_first_line(error)}") from None


def _csv_batches(open_: Callable[[], BinaryIO], columns: list[str]) -> Any:
    """Open a CSV table; of no columns, all are read."""
    import pyarrow as pa
    from pyarrow import csv

    # A column's type is guessed from the first block; a later one may differ. Text always fits.
    types = dict.fromkeys(columns, pa.string())
    return csv.open_csv(
        pa.PythonFile(open_(), mode="r"),
        read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=columns),
    )


def parquet_pieces(
    open_: Callable[[], BinaryIO], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    """Yield the rows of a Parquet table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_() as stream, pq.ParquetFile(stream) as file:
            columns = _columns(file.schema_arrow.names, where)
            batches = file.iter_batches(batch_size=1000, columns=columns, use_threads=False)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from _row_pieces(rows, stem, where)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"it is no Parquet table that can be read: {_first_line(error)}") from None


def row_count(kind: str, open_: Callable[[], BinaryIO], where: Mapping[str, str]) -> int | None:
    """Return how many rows of a table meet the conditions; None if that is not told cheaply."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def chosen(batches: Iterable[Any]) -> int:
        return sum(
            all(is_equal(value, wanted) for value, wanted in zip(row, where.values(), strict=True))
            for batch in batches
            for row in zip(*(batch.column(name).to_pylist() for name in where), strict=True)
        )

    try:
        if kind == "parquet":
            with open_() as stream, pq.ParquetFile(stream) as file:
                if not where:
                    return int(file.metadata.num_rows)
                return chosen(file.iter_batches(columns=list(where), use_threads=False))
        if kind == "csv":
            with _csv_batches(open_, []) as header:
                first = header.schema.names[:1]
            with _csv_batches(open_, list(where) or first) as batches:
                return chosen(batches) if where else sum(batch.num_rows for batch in batches)
    except (pa.ArrowException, OSError, KeyError):
        # Reading it for its structures meets the same, and tells it.
        return None
    return None


def json_pieces(
    open_: Callable[[], BinaryIO], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    """Yield what is found in a JSON file.

    It may be one structure as pymatgen or ASE writes it, a list of rows, a mapping from names to
    rows or to POSCAR or CIF strings, one more such level around it, what pandas writes by columns
    (its default) or in its `split` layout, or a row on each line.
    """
    with open_() as stream:
        data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        raise InputError(
            f"it is larger than {MAX_JSON:,} bytes; split it, or convert it to Parquet"
        )
    document = _document(as_text(data))
    if isinstance(document, dict) and _is_structure(document):
        if where:
            raise SettingError("--where needs a table; this is a single structure")
        yield Piece(stem, "structure", document)
        return
    yield from _row_pieces(_json_rows(document), stem, where)


def _document(text: str) -> Any:
    """Return what a JSON text says, or a list of what its lines say, where each is one.

    Raises:
        InputError: it is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        whole = error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            if not rows:
                break
            raise InputError(f"line {number} of it is no JSON: {_first_line(error)}") from None
    if not rows:
        raise InputError(f"it is no JSON: {_first_line(whole)}")
    return rows


def _json_rows(document: Any, name: str | None = None, split: str = "") -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON document, each as a mapping from columns to values."""
    context = {SPLIT: split} if split else {}
    if isinstance(document, str):
        yield {"name": name, "structure": document, **context}
    elif isinstance(document, list):
        for item in document:
            yield from _json_rows(item, split=split)
    elif isinstance(document, dict):
        if {"columns", "data"} <= document.keys():
            index = document.get("index") or [None] * len(document["data"])
            for i, values in zip(index, document["data"], strict=False):
                yield {"name": i, **dict(zip(document["columns"], values, strict=False))}
        elif _is_structure(document):
            yield {"name": name, "structure": document, **context}
        elif _is_by_columns(document):
            for key in next(iter(document.values())):
                row = {column: values[key] for column, values in document.items()}
                # Where it has no index of its own, pandas counts the rows.
                yield {"name": None if key.isdecimal() else key, **context, **row}
        elif (ase := _from_ase_row(document)) or _holds_structure(document):
            yield {"name": name, **context, **(ase or document)}
        else:
            for key, item in document.items():
                # Only containers and texts of several lines can hold structures.
                if isinstance(item, dict | list):
                    nested = isinstance(item, dict) and all(
                        isinstance(v, str) for v in item.values()
                    )
                    yield from _json_rows(item, key, split=key if nested else split)
                elif isinstance(item, str) and "\n" in _unescaped(item):
                    yield from _json_rows(item, key, split=split)


def _is_structure(value: Mapping[str, Any]) -> bool:
    return "lattice" in value and "sites" in value


def _is_by_columns(document: Mapping[str, Any]) -> bool:
    """Tell whether a mapping is from columns to rows to values, structures among them."""
    columns = list(document.values())
    if not all(isinstance(column, dict) for column in columns):
        return False
    if any(column.keys() != columns[0].keys() for column in columns):
        return False
    arrays = _array_columns(document)
    return arrays is not None or any(
        column in document and not _is_structure(document[column]) for column in TEXT_COLUMNS
    )


def _holds_structure(row: Mapping[str, Any]) -> bool:
    held = (row.get(column) for column in TEXT_COLUMNS)
    if any(isinstance(x, str) or (isinstance(x, dict) and _is_structure(x)) for x in held):
        return True
    return _array_columns(row) is not None


def _from_ase_row(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Take a row of ASE's JSON database, in which an array is a shape, a type and flat numbers."""
    keys = ("cell", "numbers", "positions")
    if not all(isinstance(row.get(key), dict) for key in keys):
        return None
    import numpy as np

    try:
        cell = row["cell"].get("array", row["cell"])
        arrays = [np.array(x["__ndarray__"][2]) for x in (cell, row["numbers"], row["positions"])]
        vectors, cartesian = arrays[0].reshape(3, 3), arrays[2].reshape(-1, 3)
        fractional = cartesian @ np.linalg.inv(vectors)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    lengths, angles = lengths_and_angles(vectors)
    return {
        "lengths": lengths,
        "angles": angles,
        "numbers": arrays[1].tolist(),
        # A left-handed basis is inverted together with its coordinates.
        "positions": fractional * np.sign(np.linalg.det(vectors)),
    }


def _columns(names: list[str], where: Mapping[str, str]) -> list[str]:
    """Return the columns to read, or say that no structure can be among them."""
    arrays = _array_columns(dict.fromkeys(names, ()))
    texts = [name for name in TEXT_COLUMNS if name in names][:1]
    if arrays is None and not texts:
        raise InputError(
            f"no column holds structures; found {', '.join(map(repr, names[:12]))}, expected "
            f"{', '.join(TEXT_COLUMNS)}, or lengths, angles, numbers and fractional positions"
        )
    for column in where:
        _check_column(column, names)
    wanted = {*NAME_COLUMNS, SPLIT, *where, *(c for known in LABEL_COLUMNS.values() for c in known)}
    wanted |= set(arrays.values()) if arrays else set(texts)
    return [name for name in names if name in wanted]


def _array_columns(row: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the column of each array, or None unless all four are there."""
    found = {
        key: next((name for name in names if name in row), None)
        for key, names in ARRAY_COLUMNS.items()
    }
    whole = {key: name for key, name in found.items() if name is not None}
    return whole if len(whole) == len(ARRAY_COLUMNS) else None


def _row_pieces(
    rows: Iterable[Mapping[str, Any]], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    for i, row in enumerate(rows, start=1):
        for column in where:
            _check_column(column, row)
        if not all(is_equal(row[column], value) for column, value in where.items()):
            continue
        kind, data = _structure_of(row)
        split = "" if row.get(SPLIT) is None else str(row[SPLIT])
        name = first_of(row, NAME_COLUMNS) or f"{stem}-{i}"
        yield Piece(name, kind, data, labels_of(row), first_of(row, ID_COLUMNS), split)


def first_of(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    """Return the text of the first of these columns that a row has a value in, or none."""
    return next((str(row[c]) for c in columns if row.get(c) not in (None, "")), "")


def _structure_of(row: Mapping[str, Any]) -> tuple[str, Any]:
    if columns := _array_columns(row):
        if all(row[column] is None for column in columns.values()):
            return "problem", "the row has no structure"
        try:
            return "arrays", {key: _array(row[column]) for key, column in columns.items()}
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return "problem", "its arrays are not written as lists of numbers or symbols"
    value = next((row[c] for c in TEXT_COLUMNS if row.get(c) is not None), None)
    if isinstance(value, str) and value.strip():
        text = _unescaped(value)
        return kind_of_text(text) or "cif", text
    if isinstance(value, dict) and _is_structure(value):
        return "structure", value
    return "problem", "the row has no structure"


def _array(value: Any) -> Any:
    """Return a list; one that a CSV file holds is written as Python or JSON writes it."""
    return ast.literal_eval(value) if isinstance(value, str) else value


def _unescaped(text: str) -> str:
    """Give a text its line ends back where they were escaped twice, as in the CDVAE tables."""
    return text if "\n" in text else text.replace("\\n", "\n")


def labels_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the labels of a row that are there and make sense."""
    labels: dict[str, float] = {}
    for name, columns in LABEL_COLUMNS.items():
        value = next((row[c] for c in columns if row.get(c) is not None), None)
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            continue
        possible = name != "space_group" or number in range(1, 231)
        if math.isfinite(number) and possible:
            labels[name] = number
    return labels


def _check_column(column: str, names: Iterable[str]) -> None:
    known = list(names)
    if column not in known:
        raise SettingError(
            f"the table has no column {column!r}; found {', '.join(map(repr, known[:20]))}."
            + did_you_mean(column, known)
        )


def is_equal(value: Any, wanted: str) -> bool:
    """Return whether a cell equals a value typed on the command line: False, 225, train, 1e-3."""
    if str("" if value is None else value).lower() == wanted.lower():
        return True
    try:
        return not isinstance(value, bool) and float(value) == float(wanted)
    except (TypeError, ValueError):
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
