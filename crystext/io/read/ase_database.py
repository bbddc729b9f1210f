"""Read the rows of an ASE database as pieces, with their labels.

The file is SQLite: numbers, texts, and arrays as plain bytes. Nothing is unpickled, and no
calculator or constraint is built.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from crystext.errors import InputError, SettingError, describe_error, did_you_mean
from crystext.io.read.parse import Piece
from crystext.io.read.tables import (
    ID_COLUMNS,
    NAME_COLUMNS,
    SPLIT_COLUMN,
    first_value,
    is_equal,
    unread_columns,
)
from crystext.structures.property_schema import parse_labels


def database_pieces(path: Path, stem: str, where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield the rows of a database in the order of their ids.

    Args:
        path: a file, since SQLite cannot read a stream.
        stem: names rows without a name among their key-value pairs.
        where: the value that each of these keys must have.

    Raises:
        InputError: it is not an ASE database.
        SettingError: `where` names a key that no row has.
    """
    from ase.db import connect

    ids = _read_ids(path)
    database = connect(str(path), type="db", use_lock_file=False)
    met: set[str] = set()
    chosen = False
    with database:
        for id in ids:
            try:
                row = database.get(id=id)
                pairs = row.key_value_pairs
                data = {"numbers": row.numbers, "positions": row.positions, "cell": row.cell}
                data["masses"] = row.get("masses")
            except Exception as error:
                # ASE raises exceptions of any type for broken rows.
                reason = describe_error(error, "its arrays are not what ASE writes")
                yield Piece(f"{stem}-{id}", "problem", f"row {id} cannot be read: {reason}")
                continue
            met |= pairs.keys()
            if not all(key in pairs and is_equal(pairs[key], where[key]) for key in where):
                continue
            chosen = True
            name = first_value(pairs, NAME_COLUMNS) or f"{stem}-{id}"
            given, split = first_value(pairs, ID_COLUMNS), str(pairs.get(SPLIT_COLUMN, ""))
            unread = unread_columns(pairs)
            labels, unused = parse_labels(pairs)
            yield Piece(name, "atoms", data, labels, given, split, unread, unused)
    for key in where:
        if not chosen and key not in met:
            raise SettingError(
                f"no row of the database has the key {key!r}; found "
                f"{', '.join(map(repr, sorted(met)[:20])) or 'none'}." + did_you_mean(key, met)
            )


def database_size(path: Path) -> int:
    """Return the number of rows.

    Raises:
        InputError: it is not an ASE database.
    """
    return len(_read_ids(path))


def _read_ids(path: Path) -> list[int]:
    # ASE would write its tables into a file without them, so the file is checked without ASE.
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return [id for (id,) in connection.execute("SELECT id FROM systems ORDER BY id")]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError(
            f"it is not an ASE database (SQLite with a table `systems`): {error}"
        ) from None
