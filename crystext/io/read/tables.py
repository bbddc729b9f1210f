"""Read rows of CSV and Parquet tables as pieces, with their labels, without parsing structures."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from crystext.errors import InputError, SettingError, describe_error, did_you_mean
from crystext.io.read.cif.grammar import cif_blocks
from crystext.io.read.documents import document_kind
from crystext.io.read.parse import Piece, kind_of_text
from crystext.structures.property_schema import PROPERTIES, label_columns, parse_labels

TEXT_COLUMNS = ("cif", "poscar", "structure", "cif_structure", "atoms")
"""Columns that may hold a structure as CIF, POSCAR or a dictionary of pymatgen or JARVIS; the first
that has a value wins."""

ARRAY_COLUMNS = {
    "lengths": ("lengths",),
    "angles": ("angles",),
    "numbers": ("numbers", "species", "atom_types"),
    "positions": ("frac_coords", "positions", "coords"),
}
"""Columns that together hold a structure as arrays, with their aliases; the first found wins.
Positions are fractional under all of these names. The alias that says so, pymatgen's, comes first,
since such a table may have Cartesian positions in another column."""

ID_COLUMNS = ("material_id", "id", "mp_id", "jid", "entry_id")
"""Columns with a unique identifier of each row."""

NAME_COLUMNS = ("name", *ID_COLUMNS)
"""Columns with the name of a row. Many rows may share a name such as `salt`."""

SPLIT_COLUMN = "split"
"""Column with the split of a row; the outer keys of a JSON table are read as splits."""

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
"""Names of splits in data sets, and the names used here."""

_CSV_BLOCK_BYTES = 32 * 2**20
"""Block size for reading a CSV file, in bytes; a row must fit."""


def csv_pieces(
    open_: Callable[[], BinaryIO], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    """Yield the rows of a CSV table."""
    import pyarrow as pa

    try:
        with _csv_batches(open_, []) as header:
            columns = _columns_to_read(header.schema.names, where)
            unread = unread_columns(header.schema.names)
        with _csv_batches(open_, columns) as batches:
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from row_pieces(rows, stem, where, unread)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"it cannot be read as a CSV table: {describe_error(error, 'it cannot be parsed')}; "
            "expected a line of column names, and a line for each structure"
        ) from None


def _csv_batches(open_: Callable[[], BinaryIO], columns: list[str]) -> Any:
    """Open a CSV table; an empty list reads all columns."""
    import pyarrow as pa
    from pyarrow import csv

    # A column's type is inferred from the first block, and later blocks may differ; text always
    # fits.
    types = dict.fromkeys(columns, pa.string())
    return csv.open_csv(
        pa.PythonFile(open_(), mode="r"),
        read_options=csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
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
            columns = _columns_to_read(file.schema_arrow.names, where)
            unread = unread_columns(file.schema_arrow.names)
            batches = file.iter_batches(batch_size=1000, columns=columns, use_threads=False)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from row_pieces(rows, stem, where, unread)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(
            f"it cannot be read as a Parquet table: {describe_error(error, 'it cannot be parsed')}"
        ) from None


def row_count(kind: str, open_: Callable[[], BinaryIO], where: Mapping[str, str]) -> int | None:
    """Return how many rows of a table match `where`; None if that is costly to find out."""
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
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError):
        # Reading its structures fails too, and reports the error.
        return None
    return None


def _columns_to_read(names: list[str], where: Mapping[str, str]) -> list[str]:
    """Return the columns to read, or raise an error if no column can hold structures."""
    arrays = array_columns(dict.fromkeys(names, ()))
    texts = [name for name in TEXT_COLUMNS if name in names]
    if arrays is None and not texts:
        raise InputError(
            f"no column holds structures; found {', '.join(map(repr, names[:12]))}, expected "
            f"{', '.join(TEXT_COLUMNS)}, or lengths, angles, numbers and fractional positions"
        )
    for column in where:
        _check_column(column, names)
    wanted = {
        *NAME_COLUMNS,
        SPLIT_COLUMN,
        *where,
        *(column for columns in label_columns().values() for column in columns),
    }
    wanted |= set(arrays.values()) if arrays else set(texts)
    return [name for name in names if name in wanted]


def unread_columns(names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that hold neither structures nor names, splits or properties."""
    known = {*NAME_COLUMNS, SPLIT_COLUMN, *TEXT_COLUMNS, *PROPERTIES}
    known.update(column for columns in ARRAY_COLUMNS.values() for column in columns)
    known.update(column for columns in label_columns().values() for column in columns)
    # The index of a table of pandas has no name, or such a one.
    return tuple(x for x in names if x not in known and x and not x.startswith("Unnamed: "))


def is_structure_dict(value: Mapping[str, Any]) -> bool:
    """Return whether a mapping is a structure written by pymatgen's as_dict."""
    return "lattice" in value and "sites" in value


def array_columns(row: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the column of each array; None unless all four exist."""
    found = {
        key: next((name for name in names if name in row), None)
        for key, names in ARRAY_COLUMNS.items()
    }
    whole = {key: name for key, name in found.items() if name is not None}
    return whole if len(whole) == len(ARRAY_COLUMNS) else None


def row_pieces(
    rows: Iterable[Mapping[str, Any]],
    stem: str,
    where: Mapping[str, str],
    unread: tuple[str, ...] | None = None,
) -> Iterator[Piece]:
    """Yield a piece for each row that matches `where`.

    Args:
        rows: values by column.
        stem: names rows without a name.
        where: the value that each of these columns must have.
        unread: columns that rows do not have because they are not read; None finds them in each
            row.
    """
    for i, row in enumerate(rows, start=1):
        for column in where:
            _check_column(column, row)
        if not all(is_equal(row[column], value) for column, value in where.items()):
            continue
        kind, data = _structure_of_row(row)
        split = "" if row.get(SPLIT_COLUMN) is None else str(row[SPLIT_COLUMN])
        name = first_value(row, NAME_COLUMNS) or f"{stem}-{i}"
        ignored = unread_columns(row) if unread is None and not document_kind(row) else unread
        identifier = first_value(row, ID_COLUMNS)
        labels, unused = parse_labels(row)
        yield Piece(name, kind, data, labels, identifier, split, ignored or (), unused)


def first_value(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    """Return the text of the first of these columns with a value in a row; empty without one."""
    return next((str(row[c]) for c in columns if row.get(c) not in (None, "")), "")


def _structure_of_row(row: Mapping[str, Any]) -> tuple[str, Any]:
    if columns := array_columns(row):
        if all(row[column] is None for column in columns.values()):
            return "problem", "the row has no structure"
        try:
            return "arrays", {key: _parse_array(row[column]) for key, column in columns.items()}
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return "problem", "its arrays are not written as lists of numbers or symbols"
    if document := document_kind(row):
        return document
    if "molecule" in row:
        return "problem", "it is a molecule; expected a crystal, which has a lattice"
    # In a CSV file an empty cell is an empty text.
    given = (row[c] for c in TEXT_COLUMNS if row.get(c) is not None)
    value = next((x for x in given if not isinstance(x, str) or x.strip()), None)
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            text = unescape_newlines(value)
            kind = kind_of_text(text) or "cif"
            if kind == "cif" and text.count("data_") > 1 and len(blocks := cif_blocks(text)) > 1:
                names = ", ".join(name for name, _ in blocks)
                return "problem", f"its CIF has {len(blocks)} structures ({names}); expected one"
            return kind, text
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            reason = describe_error(error, "it cannot be parsed")
            return "problem", f"its structure is not valid JSON: {reason}"
    if isinstance(value, dict) and is_structure_dict(value):
        return "structure", value
    if isinstance(value, dict) and (document := document_kind(value)):
        return document
    return "problem", "the row has no structure"


def _parse_array(value: Any) -> Any:
    """Return a list; in a CSV file it is text in Python or JSON notation."""
    return ast.literal_eval(value) if isinstance(value, str) else value


def unescape_newlines(text: str) -> str:
    """Restore line ends that were escaped twice, as in the CDVAE tables."""
    return text if "\n" in text else text.replace("\\n", "\n")


def _check_column(column: str, names: Iterable[str]) -> None:
    known = list(names)
    if column not in known:
        raise SettingError(
            f"the table has no column {column!r}; found {', '.join(map(repr, known[:20]))}."
            + did_you_mean(column, known)
        )


def is_equal(value: Any, expected: str) -> bool:
    """Return whether a cell equals a value typed on the command line: False, 225, train, 1e-3."""
    if str("" if value is None else value).lower() == expected.lower():
        return True
    try:
        return not isinstance(value, bool) and float(value) == float(expected)
    except (TypeError, ValueError):
        return False
