"""Read JSON documents as pieces: structures, tables and responses of databases, also nested."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from crystext.errors import InputError, SettingError, describe_error
from crystext.io.read.documents import document_kind
from crystext.io.read.parse import Piece, decode_text
from crystext.io.read.pymatgen_and_ase import isotope_of
from crystext.io.read.tables import (
    SPLIT_COLUMN,
    TEXT_COLUMNS,
    array_columns,
    is_structure_dict,
    row_pieces,
    unescape_newlines,
)
from crystext.structures.crystal import lengths_and_angles

MAX_JSON_BYTES = 2**30
"""Maximum size of a JSON table in bytes, since it is loaded whole."""


def json_pieces(
    open_: Callable[[], BinaryIO], stem: str, where: Mapping[str, str]
) -> Iterator[Piece]:
    """Yield the structures of a JSON file.

    It may be one structure as pymatgen or ASE writes it, entries of JARVIS, a response of OPTIMADE
    or of the Materials Project, a list of rows, a mapping from names to rows or to POSCAR or CIF
    strings, one more such level around it, a table of pandas by columns (its default) or in its
    `split` layout, or one row per line.
    """
    with open_() as stream:
        data = stream.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise InputError(
            f"it is larger than {MAX_JSON_BYTES:,} bytes; split it, or convert it to Parquet"
        )
    document = _parse_document(decode_text(data))
    if isinstance(document, dict) and is_structure_dict(document):
        if where:
            raise SettingError("--where needs a table; this is a single structure")
        yield Piece(stem, "structure", document)
        return
    rows = _json_rows(document)
    if isinstance(document, list):
        # Texts in a list are meant to be structures; those nested deeper may be anything.
        rows = (row for item in document for row in _json_rows(item))
    yield from row_pieces(rows, stem, where)


def _parse_document(text: str) -> Any:
    """Return the value of a JSON text, or the list of values if each line is one (JSON lines).

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
            raise InputError(
                f"its line {number} is not valid JSON: "
                f"{describe_error(error, 'it cannot be parsed')}"
            ) from None
    if not rows:
        raise InputError(f"it is not valid JSON: {describe_error(whole, 'it cannot be parsed')}")
    return rows


def _json_rows(document: Any, name: str | None = None, split: str = "") -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON document, each as a mapping from columns to values."""
    context = {SPLIT_COLUMN: split} if split else {}
    if isinstance(document, str):
        yield {"name": name, "structure": document, **context}
    elif isinstance(document, list):
        for item in document:
            if not isinstance(item, str) or "\n" in unescape_newlines(item):
                yield from _json_rows(item, split=split)
    elif isinstance(document, dict):
        if _is_split_layout(document):
            index = document.get("index") or [None] * len(document["data"])
            for i, values in zip(index, document["data"], strict=False):
                yield {"name": i, **dict(zip(document["columns"], values, strict=False))}
        elif is_structure_dict(document):
            yield {"name": name, "structure": document, **context}
        elif isinstance(document.get("meta"), dict) and "data" in document:
            # A response of OPTIMADE or of the Materials Project; the rest of it is metadata.
            yield from _json_rows(document["data"])
        elif document_kind(document):
            yield {"name": name, **context, **document}
        elif _is_by_columns(document):
            for key in next(iter(document.values())):
                row = {column: values[key] for column, values in document.items()}
                # pandas numbers the rows of a table without an index.
                yield {"name": None if key.isdecimal() else key, **context, **row}
        elif (ase := _from_ase_row(document)) or _holds_structure(document):
            yield {"name": name, **context, **(ase or document)}
        elif _is_molecule(document):
            yield {"name": name, **context, "molecule": document}
        else:
            for key, item in document.items():
                # Only containers and texts of several lines can hold structures.
                if isinstance(item, dict | list):
                    nested = isinstance(item, dict) and all(
                        isinstance(v, str) for v in item.values()
                    )
                    yield from _json_rows(item, key, split=key if nested else split)
                elif isinstance(item, str) and "\n" in unescape_newlines(item):
                    yield from _json_rows(item, key, split=split)


def _is_molecule(value: Mapping[str, Any]) -> bool:
    """Return whether a mapping is a molecule of pymatgen: sites without a lattice."""
    return isinstance(value.get("sites"), list) and "Molecule" in str(value.get("@class"))


def _is_split_layout(document: Mapping[str, Any]) -> bool:
    columns, data, index = (document.get(key) for key in ("columns", "data", "index"))
    return (
        isinstance(columns, list)
        and all(isinstance(column, str) for column in columns)
        and isinstance(data, list)
        and all(isinstance(row, list) for row in data)
        and (index is None or isinstance(index, list))
    )


def _is_by_columns(document: Mapping[str, Any]) -> bool:
    """Return whether a mapping is from columns to rows to values that include structures."""
    columns = list(document.values())
    if not all(isinstance(column, dict) for column in columns):
        return False
    if any(column.keys() != columns[0].keys() for column in columns):
        return False
    arrays = array_columns(document)
    return arrays is not None or any(
        column in document and not is_structure_dict(document[column]) for column in TEXT_COLUMNS
    )


def _holds_structure(row: Mapping[str, Any]) -> bool:
    for column in TEXT_COLUMNS:
        held = row.get(column)
        if isinstance(held, dict) and is_structure_dict(held):
            return True
        # Other values called `atoms` are not the text of a structure.
        if isinstance(held, str) and (column != "atoms" or held.lstrip().startswith("{")):
            return True
    return array_columns(row) is not None


def _from_ase_row(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Convert a row of ASE's JSON database, in which an array is a shape, a type and flat numbers.

    Early versions wrote lists.
    """
    keys = ("cell", "numbers", "positions")
    if not all(isinstance(row.get(key), dict | list) for key in keys):
        return None
    import numpy as np

    def array(value: Any, kind: type) -> Any:
        if isinstance(value, dict):
            value = value.get("array", value)
        return np.array(value["__ndarray__"][2] if isinstance(value, dict) else value, dtype=kind)

    try:
        vectors = array(row["cell"], float).reshape(3, 3)
        numbers = array(row["numbers"], int).tolist()
        with np.errstate(all="ignore"):  # The reader refuses numbers that are not finite.
            fractional = array(row["positions"], float).reshape(-1, 3) @ np.linalg.inv(vectors)
            handedness = np.sign(np.linalg.det(vectors))
            lengths, angles = lengths_and_angles(vectors)
        masses = array(row["masses"], float).tolist() if "masses" in row else [0.0] * len(numbers)
        elements = [isotope_of(z, mass) or z for z, mass in zip(numbers, masses, strict=True)]
    except (LookupError, TypeError, ValueError):  # np.linalg.LinAlgError is a ValueError.
        return None
    return {
        "lengths": lengths,
        "angles": angles,
        "numbers": elements,
        # A left-handed basis is inverted together with its coordinates.
        "positions": fractional * handedness,
    }
