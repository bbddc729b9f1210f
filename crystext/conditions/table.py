"""Read conditions from a table: one request per row, columns named after the conditions."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.conditions.conditions import CONDITION_NAMES, Conditions
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.runtime.wording import format_count


@dataclass(frozen=True)
class ConditionRow:
    """A row whose conditions are valid."""

    line: int
    """Line in the file, from 1."""
    conditions: Conditions


@dataclass(frozen=True)
class ConditionTable:
    """The rows of a table, valid and invalid."""

    rows: tuple[ConditionRow, ...]
    errors: tuple[str, ...]
    """Error message of each invalid row, with its line first."""


def read_condition_table(
    path: Path, common: Mapping[str, Any] | None = None, *, max_atoms: int
) -> ConditionTable:
    """Read conditions from a CSV file whose first line names them.

    An empty cell requests nothing. An invalid row is left out and reported; the others are read all
    the same. Blank lines are skipped.

    Args:
        path: the file, in UTF-8.
        common: conditions of all rows, in the spellings of `Conditions.from_keywords`; a cell of
            the row takes precedence.
        max_atoms: largest number of atoms in a crystal.

    Raises:
        InputError: the file cannot be read or has no rows, or a column is not a condition or
            occurs twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            rows: list[ConditionRow] = []
            errors: list[str] = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                try:
                    conditions = _conditions(header, cells, common or {})
                    # Raises if the cell is too small for the conditions.
                    conditions.constraints(max_atoms=max_atoms)
                except SettingError as error:
                    errors.append(f"line {reader.line_num}: {error}")
                else:
                    rows.append(ConditionRow(reader.line_num, conditions))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; expected a CSV file") from None
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}, is not CSV: {error}; a quote may be missing"
        ) from None
    if not rows and not errors:
        raise InputError(f"{path} has no rows below its header")
    return ConditionTable(tuple(rows), tuple(errors))


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise InputError(
            f"{path} has no header; expected names of conditions: {', '.join(CONDITION_NAMES)}"
        )
    for name in header:
        if name not in CONDITION_NAMES:
            raise InputError(
                f"{path} has a column {name!r}, which is not a condition; expected "
                f"{', '.join(CONDITION_NAMES)}." + did_you_mean(name, CONDITION_NAMES)
            )
        if header.count(name) > 1:
            raise InputError(f"{path} has the column {name!r} twice; leave one out")


def _conditions(header: list[str], cells: list[str], common: Mapping[str, Any]) -> Conditions:
    if len(cells) != len(header):
        raise SettingError(
            f"{format_count(len(cells), 'cell')} below {format_count(len(header), 'column')}; "
            "quote cells that hold commas"
        )
    own = {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
    return Conditions.from_keywords(**{**common, **own})
