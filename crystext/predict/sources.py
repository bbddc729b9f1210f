"""Records to predict for: a run, files, tables of structures, formulas or SMILES, or formulas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crystext.chemistry.formulas import parse_amounts
from crystext.data.row_records import RecordReader
from crystext.data.table_rows import TableRows, open_table
from crystext.errors import InputError, SettingError
from crystext.evaluate.samples import read_samples
from crystext.io.read.tables import TEXT_COLUMNS as STRUCTURE_COLUMNS
from crystext.io.read.tables import array_columns
from crystext.structures.record import Record

NO_TEXT = "NO_TEXT"
"""Failure kind of a table's row that holds neither a structure nor a formula or another text."""


def read_records(source: str | Path, *, lenient: bool = False) -> tuple[Record, ...]:
    """Return the records of a source; what cannot be read stays, with its failure.

    Args:
        source: a run of `crystext sample`, any file, folder, zip or table of structures, a table of
            formulas or SMILES, or a formula, such as SrTiO3.
        lenient: read structures that contradict themselves, where one reading exists.

    Raises:
        InputError: the source is neither, or nothing in it can be read.
    """
    path = Path(source)
    if not path.exists():
        return (_formula_record(str(source)),)
    table = open_table(path)
    if table is not None and not _has_structures(table):
        return tuple(_rows(path, table))
    return read_samples(path, lenient=lenient).samples


def _formula_record(text: str) -> Record:
    try:
        parse_amounts(text)
    except SettingError as error:
        raise InputError(
            f"no file or folder {text}, and it is not a formula either: {error}"
        ) from None
    return Record(name=text, texts={"formula": text})


def _has_structures(table: TableRows) -> bool:
    arrays = array_columns(dict.fromkeys(table.columns))
    return arrays is not None or any(name in STRUCTURE_COLUMNS for name in table.columns)


def _rows(path: Path, table: TableRows) -> Iterator[Record]:
    reader = RecordReader(path, table.columns, {}, crystals=False)
    readable = count = 0
    for count, row in enumerate(
        table.read([name for name in table.columns if name in reader.columns]), start=1
    ):
        found = reader.record(row, count)
        if isinstance(found, Record):
            readable += 1
            yield found
        else:
            yield Record.failed(f"{reader.stem}-{count}", NO_TEXT, found)
    if not readable:
        raise reader.nothing_readable(count) if count else InputError(f"{path} has no rows")
