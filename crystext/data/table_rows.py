"""Rows of CSV, Parquet and JSON tables, a chunk after another, with the cells as they are written.

CSV       .csv and .tsv, also compressed; every cell is text, so that NaN stays a formula
Parquet   cells in the types of the file
JSON      a list of rows, rows by line (.jsonl), or a table of pandas in any of its layouts
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from crystext.errors import InputError, describe_error
from crystext.io.read.tables import is_structure_dict

_CHUNK_ROWS = 10_000

_OPENERS: Mapping[str, Callable[..., IO[Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

Row = Mapping[str, Any]


class TableRows(NamedTuple):
    """A table: its columns, and its rows."""

    columns: Sequence[str]
    read: Callable[[Sequence[str]], Iterator[Row]]
    """Yields the rows with the given columns; a cell is a text, a number, a boolean or None."""


def open_table(path: Path) -> TableRows | None:
    """Open a file as a table; None if its name or its contents are none.

    Raises:
        InputError: it cannot be read.
    """
    if path.is_dir():
        return None
    plain = path.with_suffix("") if path.suffix.lower() in _OPENERS else path
    suffix = plain.suffix.lower()
    openers = {
        ".csv": _open_csv,
        ".tsv": _open_csv,
        ".parquet": _open_parquet,
        ".json": _open_json,
        ".jsonl": _open_json_lines,
        ".ndjson": _open_json_lines,
    }
    if suffix not in openers:
        return None
    try:
        return openers[suffix](path)
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> InputError:
    reason = describe_error(error, "its contents do not follow the format")
    reason = reason.removeprefix("Error tokenizing data. C error: ")  # Of pandas.
    return InputError(f"{path} cannot be read as a table: {reason}")


def _open_text(path: Path) -> IO[str]:
    if (opener := _OPENERS.get(path.suffix.lower())) is not None:
        return opener(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _open_csv(path: Path) -> TableRows:
    import pandas as pd

    with _open_text(path) as stream:
        head = stream.readline()
    separator = max(",", ";", "\t", key=head.count)
    options = {
        "dtype": str,
        "keep_default_na": False,
        "encoding": "utf-8-sig",
        "sep": separator,
        "index_col": False,  # Otherwise the first cells of longer rows become an index.
    }
    columns = [str(x) for x in pd.read_csv(path, nrows=0, **options).columns]

    def rows(wanted: Sequence[str]) -> Iterator[Row]:
        try:
            # All columns: with some of them, pandas doesn't notice rows that are too long.
            chunks = iter(pd.read_csv(path, chunksize=_CHUNK_ROWS, **options))
            while (chunk := _next_chunk(chunks, pd.errors.ParserWarning)) is not None:
                cells = [chunk[x].astype(object).where(chunk[x].notna(), None) for x in wanted]
                for values in zip(*(x.tolist() for x in cells), strict=True):
                    yield dict(zip(wanted, values, strict=True))
        except pd.errors.ParserWarning:
            raise InputError(
                f"{path} cannot be read as a table: a row has more cells than the "
                f"{len(columns)} columns of the header"
            ) from None
        except (OSError, EOFError, ValueError) as error:
            raise _unreadable(path, error) from None

    return TableRows(columns, rows)


def _next_chunk(chunks: Iterator[Any], warning: type[Warning]) -> Any:
    """Return the next chunk, None at the end; a warning of the parser is an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", warning)
        return next(chunks, None)


def _open_parquet(path: Path) -> TableRows:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = list(file.schema_arrow.names)

    def rows(wanted: Sequence[str]) -> Iterator[Row]:
        try:
            with pq.ParquetFile(path) as file:
                batches = file.iter_batches(
                    batch_size=1000, columns=list(wanted), use_threads=False
                )
                for batch in batches:
                    yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # Arrow's errors are one of these.
            raise _unreadable(path, error) from None

    return TableRows(columns, rows)


def _open_json_lines(path: Path) -> TableRows | None:
    with _open_text(path) as stream:
        rows = []
        for number, line in enumerate(stream, start=1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except ValueError as error:
                reason = describe_error(error, "it cannot be parsed")
                raise InputError(f"{path}: its line {number} is not JSON: {reason}") from None
    return _table_of_rows(rows)


def _open_json(path: Path) -> TableRows | None:
    with _open_text(path) as stream:
        text = stream.read()
    try:
        document = json.loads(text)
    except ValueError:
        if "\n" in text.strip():
            return _open_json_lines(path)
        raise
    if isinstance(document, list):
        return _table_of_rows(document)
    if not isinstance(document, dict) or is_structure_dict(document) or not document:
        return None
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list):
        names = [str(x) for x in columns]
        # matbench's tables: an index, columns, and a list of cells for each row.
        if not all(isinstance(row, list) and len(row) == len(names) for row in data):
            return None
        return _table_of_rows([dict(zip(names, row, strict=True)) for row in data])
    parts = list(document.values())
    if all(isinstance(part, list) for part in parts) and len({len(part) for part in parts}) == 1:
        cells = zip(*parts, strict=True)
        return _table_of_rows([dict(zip(document, row, strict=True)) for row in cells])
    if all(isinstance(part, dict) and part.keys() == parts[0].keys() for part in parts):
        if is_structure_dict(parts[0]):
            return None
        if all(key.isdecimal() for key in parts[0]):  # pandas' default layout, by columns
            keys = list(parts[0])
            return _table_of_rows([{x: document[x][key] for x in document} for key in keys])
    return None


def _table_of_rows(rows: Sequence[Any]) -> TableRows | None:
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for row in rows:
            yield {name: row.get(name) for name in wanted}

    return TableRows(columns, read)
