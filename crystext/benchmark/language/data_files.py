"""Files of published benchmarks in words: tables and rows as JSON, plain or compressed.

A table is what pandas writes as JSON with the orientation `split`:

    {"columns": ["sents", "sent_labels"], "index": [0, 1], "data": [["...", 1], ["...", 0]]}

Rows are JSON lines. Both may be compressed by gzip (`.json.gz`).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import InputError, describe_error


@dataclass(frozen=True)
class Table:
    """A table of a file."""

    path: Path
    columns: Sequence[str]
    index: Sequence[str]
    """(N,) identifiers of rows."""
    rows: Sequence[Sequence[Any]]
    """(N, columns)."""

    def column(self, name: str) -> list[Any]:
        """Return the values of a column.

        Raises:
            InputError: there is no such column.
        """
        if name not in self.columns:
            raise InputError(
                f"{self.path} has no column {name!r}; it has {', '.join(self.columns)}"
            )
        place = list(self.columns).index(name)
        return [row[place] for row in self.rows]


def find_files(
    folder: Path, files: Mapping[str, str], *, requires_all: bool
) -> tuple[dict[str, Path], list[str]]:
    """Return the files of tasks that a folder has, plain or compressed, and notes on the others.

    Args:
        folder: the user's.
        files: names of files by task.
        requires_all: whether the tasks were chosen, so that none may be missing.

    Raises:
        InputError: there is none, or one of chosen tasks is missing.
    """
    paths: dict[str, Path] = {}
    for task, name in files.items():
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                paths.setdefault(task, path)
    missing = sorted({name for task, name in files.items() if task not in paths})
    if missing and (requires_all or not paths):
        raise InputError(
            f"{folder} lacks {', '.join(missing)}; expected a folder with these files, plain or as "
            "NAME.gz"
        )
    return paths, [f"files that are missing: {', '.join(missing)}"] if missing else []


def read_json(path: Path) -> Any:
    """Return the JSON of a file.

    Raises:
        InputError: it is none, or cannot be read.
    """
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        InputError: it is something else, or cannot be read.
    """
    found = read_json(path)
    is_table = isinstance(found, dict) and isinstance(found.get("columns"), list)
    columns = [str(x) for x in found["columns"]] if is_table else []
    rows = found.get("data") if is_table else None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in rows
    ):
        raise InputError(
            f'{path} is not a table: expected an object with "columns", "index" and "data" (rows '
            "as long as the columns), as pandas writes it with the orientation split"
        )
    index = found.get("index")
    has_index = isinstance(index, list) and len({str(x) for x in index}) == len(rows)
    names = [str(x) for x in (index if has_index else range(len(rows)))]
    return Table(path, columns, names, rows)


def read_rows(path: Path, keys: Sequence[str]) -> list[Mapping[str, Any]]:
    """Read JSON lines, each an object.

    Args:
        path: of the file.
        keys: that every object must have.

    Raises:
        InputError: it is something else, or cannot be read.
    """
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, error, f", line {number}") from None
        if not isinstance(row, dict) or any(key not in row for key in keys):
            raise InputError(f"{path}, line {number}: expected an object with {', '.join(keys)}")
        rows.append(row)
    return rows


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception, where: str = "") -> InputError:
    return InputError(f"{path}{where} cannot be read: {describe_error(error, 'it is damaged')}")
