"""Parse one piece of a source, a text or a row, to crystals, by the parser of its kind.

The cell is kept as written: nothing is reduced to a primitive cell, sorted by symmetry or shifted.
A CIF with a space group is expanded by its operations (see `crystext.io.read.cif`); pymatgen and
ASE read most other formats. This module knows nothing about files.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from crystext.errors import InputError, describe_error
from crystext.io.read.cif import looks_like_cif, read_cif
from crystext.io.read.documents import read_jarvis, read_optimade
from crystext.io.read.poscar import looks_like_poscar, read_poscar, read_xdatcar
from crystext.io.read.pymatgen_and_ase import (
    is_binary,
    read_arrays,
    read_ase,
    read_atoms,
    read_extxyz_frame,
    read_pymatgen,
    read_structure,
)
from crystext.io.read.reading import Reading
from crystext.structures.crystal import Crystal
from crystext.structures.property_schema import UnusedValue
from crystext.structures.record import UNREADABLE, Failure, Label, Record
from crystext.text import decode

MAX_TEXT_BYTES = 8 * 2**20
"""Maximum size of the text of one structure: parsers take seconds for a megabyte of noise."""

MAX_OUTPUT_BYTES = 256 * 2**20
"""Maximum size of a trajectory or the output of a calculation."""


class Piece(NamedTuple):
    """The unparsed data of one structure, or of one trajectory."""

    name: str
    kind: str
    """A key of `_PARSERS`, or `pymatgen:FORMAT`, or `ase:FORMAT`; `problem` if unreadable."""
    data: Any
    """Text, bytes or a mapping, depending on the kind; a sentence if the kind is `problem`."""
    labels: Mapping[str, Label] = {}
    """Labels by property name; see `property_schema`."""
    id: str = ""
    """Unique identifier of a table row, also in a source of many files; empty if it has none."""
    split: str = ""
    """Split that the source assigns, in the source's words; empty if there is none."""
    unread_columns: tuple[str, ...] = ()
    """Columns of its table that are not read, since they name no property."""
    unused_values: tuple[UnusedValue, ...] = ()
    """Cells of its labels that are no value."""


def parse_piece(piece: Piece, *, lenient: bool = False) -> list[Record]:
    """Read a piece: one record, or one per frame of a trajectory. Never raises for its data.

    Args:
        piece: what to read.
        lenient: read data that contradict themselves, with a note, where one reading exists.
    """

    def record(name: str, crystal: Crystal | None, notes: tuple[str, ...] = ()) -> Record:
        return Record(crystal, piece.labels, name, None, None, piece.id, piece.split, notes)

    def failed(name: str, message: str) -> Record:
        failure = Failure(UNREADABLE, message)
        return Record(None, piece.labels, name, None, failure, piece.id, piece.split)

    if piece.kind == "problem":
        return [failed(piece.name, piece.data)]
    kind, _, format = piece.kind.partition(":")
    arguments = (piece.data, format) if format else (piece.data,)
    options = {"lenient": lenient} if kind in _LENIENT_KINDS else {}
    with warnings.catch_warnings():
        # The parsers below check whatever matters in these warnings.
        warnings.simplefilter("ignore")
        try:
            crystals = _PARSERS[kind](*arguments, **options)
        except InputError as error:
            return [failed(piece.name, str(error))]
        except Exception as error:
            # Parsers of other packages raise exceptions of any type for broken data.
            reason = describe_error(error, "its contents do not follow the format")
            return [failed(piece.name, f"{_describe_kind(piece.kind)} cannot be read: {reason}")]
    records = []
    for i, crystal in enumerate(crystals, start=1):
        name = piece.name if len(crystals) == 1 else f"{piece.name}-{i}"
        if isinstance(crystal, Reading):
            records.append(record(name, crystal.crystal, crystal.notes))
        elif isinstance(crystal, Crystal):
            records.append(record(name, crystal))
        else:
            records.append(failed(name, str(crystal)))
    return records


def kind_of_text(text: str) -> str | None:
    """Return `cif`, `poscar` or `extxyz` if the text looks like one of them, at little cost."""
    if looks_like_cif(text):
        return "cif"
    head = text[:2000].split("\n")[:6]
    if len(head) > 1 and head[0].strip().isdigit() and "lattice=" in head[1].lower():
        return "extxyz"
    return "poscar" if looks_like_poscar(head) else None


def _describe_kind(kind: str) -> str:
    named = {
        "cif": "the CIF",
        "poscar": "the POSCAR",
        "xdatcar": "the XDATCAR",
        "extxyz": "the extxyz frame",
        "jarvis": "the JARVIS entry",
        "optimade": "the OPTIMADE structure",
    }
    return named.get(kind, f"the {kind.rpartition(':')[2]} data")


def _require_kind(text: str, kind: str, what: str) -> None:
    """Raise unless a text is of the kind: its parser must not be given megabytes of noise."""
    if not text.strip():
        raise InputError(f"it is empty; expected {what}")
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(
            f"it has {len(text):,} characters; a structure may have {MAX_TEXT_BYTES:,}. Remove "
            "everything else, such as embedded reflections"
        )
    if kind_of_text(text) != kind:
        raise InputError(f"it starts with {text.lstrip()[:40]!r}; expected {what}")


def _cif(text: str, *, lenient: bool = False) -> list[Reading]:
    text = _unix_lines(text)
    _require_kind(text, "cif", "a CIF with a data_ block, _cell_length_a and _atom_site_ rows")
    reading = read_cif(text, lenient=lenient)
    return [Reading(reading.crystal, reading.notes)]


def _poscar(text: str, *, lenient: bool = False) -> list[Reading]:
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(
            f"it has {len(text):,} characters; a structure may have {MAX_TEXT_BYTES:,}"
        )
    return [read_poscar(_unix_lines(text), lenient=lenient)]


def _pymatgen(data: bytes, format: str) -> list[Reading]:
    return [read_pymatgen(decode_text(data), format)]


def _structure(dictionary: Mapping[str, Any]) -> list[Reading]:
    return [read_structure(dictionary)]


def _frame(text: str) -> list[Reading]:
    return [read_extxyz_frame(text)]


def _text(text: str) -> list[Crystal]:
    decoded = decode(text)
    if decoded.crystal is None:
        assert decoded.failure is not None
        raise InputError(
            f"line {decoded.line} of its text: {decoded.failure.value}; found {decoded.detail}"
        )
    return [decoded.crystal]


def _ase(data: bytes, format: str) -> list[Reading | InputError]:
    return read_ase(data if is_binary(format) else decode_text(data), format)


def _arrays(row: Mapping[str, Any]) -> list[Reading]:
    return [read_arrays(row)]


def _atoms(row: Mapping[str, Any]) -> list[Reading]:
    return [read_atoms(row)]


def decode_text(data: bytes) -> str:
    """Decode a text file.

    Raises:
        InputError: it is binary.
    """
    if b"\0" in data:
        raise InputError("it is a binary file; expected text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old CIFs write Å and accents in this encoding, in which every byte is valid.
        text = data.decode("latin-1")
    return _unix_lines(text)


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_PARSERS: dict[str, Callable[..., list[Any]]] = {
    "cif": _cif,
    "poscar": _poscar,
    "xdatcar": read_xdatcar,
    "extxyz": _frame,
    "text": _text,
    "pymatgen": _pymatgen,
    "ase": _ase,
    "structure": _structure,
    "arrays": _arrays,
    "atoms": _atoms,
    "jarvis": lambda atoms: [read_jarvis(atoms)],
    "optimade": lambda attributes: [read_optimade(attributes)],
}

_LENIENT_KINDS = ("cif", "poscar")
"""Kinds whose parsers can read files that contradict themselves."""
