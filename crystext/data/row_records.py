"""Records from the rows of a table: their texts, their crystal, and why a row is none.

Columns of formulas, molecules, descriptions and CIFs are found by name (`TEXT_COLUMNS`). A cell
that isn't what its column says is counted, with examples: a row that has another text keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crystext.chemistry.formulas import parse_amounts
from crystext.data.table_rows import Row
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.io.read.parse import Piece, kind_of_text, parse_piece
from crystext.io.read.tables import (
    ID_COLUMNS,
    NAME_COLUMNS,
    SPLIT_COLUMN,
    array_columns,
    first_value,
    row_pieces,
    unescape_newlines,
)
from crystext.io.read.tables import TEXT_COLUMNS as STRUCTURE_COLUMNS
from crystext.structures.crystal import Crystal
from crystext.structures.record import UNREADABLE, Failure, Record

TEXT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "formula": (
        "formula",
        "composition",
        "pretty_formula",
        "formula_pretty",
        "reduced_formula",
        "chemical_formula",
    ),
    "smiles": ("smiles", "SMILES", "mol", "canonical_smiles"),
    "description": ("description",),
    "cif": ("cif", "cif_structure"),
}
"""Columns of texts by representation; the first that a table has is read."""

_MAX_EXAMPLES = 3
_MAX_EXAMPLE_LENGTH = 40


class RecordReader:
    """Makes records of the rows of a table, and counts what it cannot read."""

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        columns: Mapping[str, str],
        *,
        crystals: bool,
    ) -> None:
        """Find the columns.

        Args:
            path: of the table, for messages and identifiers.
            names: all columns of the table.
            columns: column of a representation or of `id`; takes precedence over `TEXT_COLUMNS`.
            crystals: whether to read structures.

        Raises:
            InputError: no column holds texts or structures.
            SettingError: a key of `columns` is no representation, or it has no such column.
        """
        for kind, column in columns.items():
            if kind not in TEXT_COLUMNS and kind != "id":
                known = [*TEXT_COLUMNS, "id"]
                raise SettingError(
                    f"no representation {kind!r} has a column; expected {', '.join(known)}."
                    + did_you_mean(kind, known)
                )
            require_column(path, column, names)
        found = {
            kind: columns.get(kind) or next((x for x in known if x in names), "")
            for kind, known in TEXT_COLUMNS.items()
        }
        self.path = path
        self.stem = path.name.split(".")[0]
        self.text_columns = {kind: column for kind, column in found.items() if column}
        self.id_columns = (columns["id"],) if "id" in columns else ID_COLUMNS
        arrays = array_columns(dict.fromkeys(names)) or {}
        structures = [x for x in names if x in STRUCTURE_COLUMNS or x in arrays.values()]
        if not self.text_columns and not (structures and crystals):
            raise InputError(_no_text_column(path, names))
        self.crystals = crystals
        self.structure_columns = (
            structures if crystals and "cif" not in self.text_columns else list[str]()
        )
        """Columns of structures in other forms than CIF; read if there is no CIF."""
        about = (*self.id_columns, *NAME_COLUMNS, SPLIT_COLUMN)
        self.columns = {
            *self.text_columns.values(),
            *self.structure_columns,
            *(x for x in about if x in names),
        }
        """The columns that are read."""
        aliases = {x for known in TEXT_COLUMNS.values() for x in known}
        self.no_targets = self.columns | aliases | {*structures}
        """Columns that are no targets unless asked for."""
        self._bad: dict[str, list[str]] = {}
        self._unreadable: Counter[str] = Counter()

    def record(self, row: Row, number: int) -> Record:
        """Return the record of a row, a failure if it has no text and no structure.

        Args:
            row: cells by column.
            number: of the row, from 1.
        """
        texts: dict[str, str] = {}
        reasons = []
        for kind, column in self.text_columns.items():
            text = _text_of_cell(row[column])
            if kind == "cif":
                text = unescape_newlines(text)
            if not text.strip():
                reasons.append(f"no {kind}")
            elif problem := _problem_of_text(kind, text):
                reasons.append(problem)
                self._bad.setdefault(kind, []).append(text)
            else:
                texts[kind] = text.strip() if kind in ("formula", "smiles") else text
        crystal, problem = self._crystal(row, texts)
        if problem:
            self._unreadable[problem] += 1
        failure = None
        if not texts and crystal is None:
            failure = Failure(UNREADABLE, reasons[0] if reasons else problem or "no structure")
        name = f"{self.stem}-{number}"
        return Record(
            crystal,
            failure=failure,
            name=first_value(row, NAME_COLUMNS) or name,
            id=first_value(row, self.id_columns) or name,
            split=_text_of_cell(row.get(SPLIT_COLUMN)).strip(),
            notes=(problem,) if problem else (),
            texts=texts,
        )

    def _crystal(self, row: Row, texts: Mapping[str, str]) -> tuple[Crystal | None, str]:
        """Return the crystal of a row, and the reason why it has a structure but no crystal."""
        if not self.crystals:
            return None, ""
        if "cif" in texts:
            kind = kind_of_text(texts["cif"]) or "cif"
            (record, *_) = parse_piece(Piece("", kind, texts["cif"]))
        elif self.structure_columns:
            (piece,) = row_pieces([{x: row[x] for x in self.structure_columns}], self.stem, {})
            (record, *_) = parse_piece(piece)
        else:
            return None, ""
        return record.crystal, record.message or ""

    def notes(self) -> list[str]:
        """Return what could not be read, a sentence each."""
        notes = []
        for kind, bad in self._bad.items():
            column = self.text_columns[kind]
            cells = f"{len(bad):,} cells" if len(bad) > 1 else "1 cell"
            notes.append(f"{cells} of {column} without a {_NAMES[kind]}: {_examples(bad)}")
        if total := self._unreadable.total():
            (reason, _), *_ = self._unreadable.most_common(1)
            structures = f"{total:,} structures" if total > 1 else "1 structure"
            notes.append(f"{structures} cannot be read; most often: {reason}")
        return notes

    def nothing_readable(self, n_rows: int) -> InputError:
        """Return the error for a table of which no row is a record."""
        listed = "; ".join(self.notes()) or "all cells are empty"
        names = ", ".join(self.text_columns.values()) or ", ".join(self.structure_columns)
        return InputError(
            f"{self.path}: none of {n_rows:,} rows has a text in {names} ({listed}). Name the "
            "column that holds it, as in columns={'formula': NAME}"
        )


_NAMES = {
    "formula": "formula",
    "smiles": "molecule as SMILES",
    "description": "description",
    "cif": "CIF",
}


def require_column(path: Path, column: str, names: Sequence[str]) -> None:
    """Raise a `SettingError` unless a table has a column."""
    if column not in names:
        raise SettingError(
            f"{path} has no column {column!r}; found {', '.join(map(repr, names[:20]))}."
            + did_you_mean(column, names)
        )


def _text_of_cell(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _problem_of_text(kind: str, text: str) -> str:
    if kind == "formula":
        try:
            parse_amounts(text)
        except SettingError:
            return "not a formula"
    if kind == "smiles" and len(text.split()) > 1:
        return "not a molecule as SMILES"
    return ""


def _examples(texts: Sequence[str]) -> str:
    shown = [text if len(text) <= _MAX_EXAMPLE_LENGTH else text[:_MAX_EXAMPLE_LENGTH] + "..." for
             text in dict.fromkeys(texts)]  # fmt: skip
    more = ", ..." if len(shown) > _MAX_EXAMPLES else ""
    return ", ".join(map(repr, shown[:_MAX_EXAMPLES])) + more


def _no_text_column(path: Path, names: Sequence[str]) -> str:
    known = ", ".join(x for columns in TEXT_COLUMNS.values() for x in columns)
    return (
        f"{path}: no column holds formulas, molecules, descriptions or structures; found "
        f"{', '.join(map(repr, names[:12]))}, expected one of {known}. Name the column, as in "
        "columns={'formula': NAME}"
    )
