"""Split files, folders and zips into pieces, one structure after another."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from crystext.errors import InputError, SettingError, describe_error
from crystext.io.read.ase_database import database_pieces, database_size
from crystext.io.read.cif import cif_blocks
from crystext.io.read.crystext_outputs import (
    ATTEMPTS_FILE,
    SELECTED_FILE,
    attempt_pieces,
    primary_files,
)
from crystext.io.read.extxyz import extxyz_pieces
from crystext.io.read.folders import walk_files
from crystext.io.read.json_tables import json_pieces
from crystext.io.read.parse import (
    MAX_OUTPUT_BYTES,
    MAX_TEXT_BYTES,
    Piece,
    decode_text,
    kind_of_text,
)
from crystext.io.read.pymatgen_and_ase import ASE_FORMATS, PYMATGEN_FORMATS
from crystext.io.read.tables import SPLIT_NAMES, csv_pieces, parquet_pieces, row_count

_DECOMPRESSORS: dict[str, Callable[[BinaryIO], object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

_TABLE_READERS = {"csv": csv_pieces, "parquet": parquet_pieces, "json": json_pieces}

_KIND_BY_SUFFIX = {
    **{f".{kind}": kind for kind in (*_TABLE_READERS, "cif", "poscar", "extxyz", "zip")},
    **{f".{name}": f"pymatgen:{name}" for name in PYMATGEN_FORMATS},
    ".mcif": "cif",
    ".db": "database",
    ".vasp": "poscar",
    ".xyz": "extxyz",
    ".cell": "ase:castep-cell",
    ".cfg": "ase:cfg",
    ".cube": "ase:cube",
    ".gen": "ase:gen",
    ".lammps-data": "ase:lammps-data",
    ".lmp": "ase:lammps-data",
    ".magres": "ase:magres",
    ".pdb": "ase:proteindatabank",
    ".traj": "ase:traj",
    ".struct_out": "ase:struct_out",
    ".xsd": "ase:xsd",
    ".xv": "ase:siesta-xv",
}
"""The kind of a file by its suffix."""

_JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
"""Suffixes of JSON lines files that are read only if given directly, not in a folder: runs of this
package write such files beside their crystals."""

_KIND_BY_STEM = {"poscar": "poscar", "contcar": "poscar", "xdatcar": "xdatcar",
          "outcar": "ase:vasp-out", "vasprun": "ase:vasp-xml"}  # fmt: skip
"""The kind of a file by the start of its name, for VASP's files."""


class SourceFile(NamedTuple):
    """A file, on disk or in a zip."""

    path: PurePosixPath
    """Path within the source."""
    open: Callable[[], BinaryIO]
    """Opens the file for reading bytes, without decompressing it."""
    disk_path: Path | None
    """Path on disk; None in a zip."""
    error: OSError | None = None
    """For a folder that cannot be searched: the reason."""


def pieces(source: Path, where: Mapping[str, str]) -> Generator[Piece, None, None]:
    """Yield the pieces of a source, in a fixed order.

    Args:
        source: a file, a folder, which is searched for files with names of known formats, or a zip.
        where: for tables, the value that each of these columns must have.

    Raises:
        InputError: the format is unknown, or a folder cannot be searched.
        OSError: the source is missing, or may not be read.
        SettingError: `where` names a column that does not exist.
    """
    if source.is_dir():
        yield from _pieces_of_files(folder_entries(source), where)
    else:
        yield from _entry_pieces(_disk_entry(source, source.name), where)


def estimate_size(source: Path, where: Mapping[str, str]) -> int | None:
    """Return roughly how many pieces a source holds; None if that is costly to find out."""
    try:
        if source.is_dir():
            return _total_size(folder_entries(source), where)
        if kind_of_name(source.name) == "zip":
            with zipfile.ZipFile(source) as archive:
                return _total_size(_zip_entries(archive), where)
        return _entry_size(_disk_entry(source, source.name), where)
    except (InputError, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        # Reading the source fails too, and reports the error.
        return None


def kind_of_name(name: str) -> str | None:
    """Return the kind of a file by its name, compressed or not; None if unknown."""
    path = PurePosixPath(name)
    if path.name in (ATTEMPTS_FILE, SELECTED_FILE):
        return "attempts"
    if path.suffix.lower() in _DECOMPRESSORS:
        path = path.with_suffix("")
    if kind := _KIND_BY_SUFFIX.get(path.suffix.lower()):
        return kind
    begin = re.match(r"[a-z]*", path.name.lower()).group()  # type: ignore[union-attr]
    return _KIND_BY_STEM.get(begin)


def folder_entries(folder: Path) -> list[SourceFile]:
    """Return the files below a folder whose names are of known formats, in the order of reading.

    Raises:
        InputError: there is none, or the folder cannot be searched.
    """
    entries: list[SourceFile] = []
    for place, error in walk_files(folder):
        if error is not None:
            entries.append(_disk_entry(place, place.relative_to(folder))._replace(error=error))
        elif kind_of_name(place.name) is not None:
            entries.append(_disk_entry(place, place.relative_to(folder)))
    if not entries:
        raise InputError(
            f"the folder {folder} holds no file whose name is of a known format; expected .cif, "
            ".vasp, POSCAR, .extxyz, .csv, .parquet and the like"
        )
    return _primary_entries(entries)


def _primary_entries(entries: list[SourceFile]) -> list[SourceFile]:
    kept = primary_files([entry.path for entry in entries])
    return [entry for entry in entries if entry.path in kept]


def _zip_pieces(entry: SourceFile, where: Mapping[str, str]) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(entry.open())
    except zipfile.BadZipFile as error:
        raise InputError(f"it is not a zip file: {describe_error(error, 'it is broken')}") from None
    with archive:
        members = _zip_entries(archive)
        if len(members) == 1:
            yield from _entry_pieces(members[0], where)
        else:
            yield from _pieces_of_files(members, where)


def _zip_entries(archive: zipfile.ZipFile) -> list[SourceFile]:
    def opener(info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
        return lambda: cast(BinaryIO, archive.open(info))

    members = [
        SourceFile(PurePosixPath(info.filename), opener(info), None)
        for info in sorted(archive.infolist(), key=lambda info: info.filename)
        if not info.is_dir()
        and not any(part.startswith((".", "__")) for part in PurePosixPath(info.filename).parts)
        and kind_of_name(info.filename) not in (None, "zip")
    ]
    if not members:
        raise InputError("the zip holds no file whose name is of a known format")
    return _primary_entries(members)


def _disk_entry(path: Path, name: str | Path) -> SourceFile:
    return SourceFile(PurePosixPath(name), partial(_open, path), path)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _pieces_of_files(entries: list[SourceFile], where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield the pieces of many files; a file that fails does not stop the others."""
    splits = _splits_by_path(entries)
    for entry in entries:
        split = splits.get(entry.path, "")
        try:
            if entry.error is not None:
                raise entry.error
            for piece in _entry_pieces(entry, where):
                # Row identifiers are unique only within a file.
                id = f"{entry.path}:{piece.id}" if piece.id else ""
                yield piece._replace(id=id, split=split or piece.split)
        except (InputError, OSError) as error:
            yield Piece(str(entry.path), "problem", str(error), split=split)


def _splits_by_path(entries: list[SourceFile]) -> dict[PurePosixPath, str]:
    """Return the split of each file, if the files or their folders are named after splits.

    Examples are train.csv, val.csv and test.csv, or train/*.cif and test/*.cif.

    Raises:
        InputError: only some files are named after splits.
    """
    found: dict[PurePosixPath, str] = {}
    for entry in entries:
        words = [*entry.path.parent.parts, PurePosixPath(_stem(entry.path)).name]
        if word := next((word for word in words if word.lower() in SPLIT_NAMES), None):
            found[entry.path] = word
    named = {SPLIT_NAMES[word.lower()] for word in found.values()}
    if len(named) < 2 or "train" not in named:
        return {}
    if others := [str(x.path) for x in entries if x.path not in found and x.error is None]:
        raise InputError(
            f"some of its files are named after splits, such as {next(iter(found))}, and others "
            f"are not, such as {others[0]}; remove the files that belong to no split"
        )
    return found


def _total_size(entries: list[SourceFile], where: Mapping[str, str]) -> int | None:
    total = 0
    for entry in entries:
        if (one := _entry_size(entry, where)) is None:
            return None
        total += one
    return total


def _entry_size(entry: SourceFile, where: Mapping[str, str]) -> int | None:
    kind = kind_of_name(entry.path.name)
    if kind == "database":
        return database_size(entry.disk_path) if entry.disk_path and not where else None
    if kind in _TABLE_READERS:
        return row_count(kind, partial(_open_decompressed, entry), where)
    return 1 if kind in ("cif", "poscar") else None


def _entry_pieces(entry: SourceFile, where: Mapping[str, str]) -> Iterator[Piece]:
    name, kind = _stem(entry.path), kind_of_name(entry.path.name)
    if kind != "attempts" and PurePosixPath(name).suffix.lower() in _JSON_LINES_SUFFIXES:
        name, kind = str(PurePosixPath(name).with_suffix("")), "json"
    if kind == "zip":
        yield from _zip_pieces(entry, where)
        return
    if kind == "database":
        if entry.disk_path is None:
            raise InputError("a database cannot be read from inside a zip; unpack it")
        yield from database_pieces(entry.disk_path, PurePosixPath(name).name, where)
        return
    open_ = partial(_open_decompressed, entry)
    try:
        if kind in _TABLE_READERS:
            yield from _TABLE_READERS[kind](open_, PurePosixPath(name).name, where)
        elif where:
            raise SettingError(f"--where needs a table; {entry.path} is not one")
        elif kind == "attempts":
            yield from attempt_pieces(open_)
        elif kind == "extxyz":
            yield from extxyz_pieces(open_, name)
        else:
            yield from _file_pieces(open_, name, kind, entry.path.name)
    except (
        EOFError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
        lzma.LZMAError,
    ) as error:
        # A truncated file, an encrypted member, an unknown compression, a wrong checksum.
        raise InputError(
            f"it cannot be unpacked: {describe_error(error, 'it is broken')}"
        ) from None
    except OSError as error:
        # System errors have an errno; those that gzip and bz2 raise for broken data have none.
        if error.errno is not None:
            raise
        raise InputError(
            f"it cannot be unpacked: {describe_error(error, 'it is broken')}"
        ) from None


def _open_decompressed(entry: SourceFile) -> BinaryIO:
    opener = _DECOMPRESSORS.get(entry.path.suffix.lower())
    stream = entry.open()
    return stream if opener is None else cast(BinaryIO, opener(stream))


def _file_pieces(
    open_: Callable[[], BinaryIO], name: str, kind: str | None, filename: str
) -> Iterator[Piece]:
    output = kind is None or kind == "xdatcar" or kind.startswith("ase:")
    limit = MAX_OUTPUT_BYTES if output else MAX_TEXT_BYTES
    with open_() as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputError(
            f"it is larger than {limit:,} bytes, more than a structure needs; remove everything "
            "else"
        )
    kind = kind or _guess_kind(data, filename)
    if kind == "extxyz":
        yield from extxyz_pieces(lambda: io.BytesIO(data), name)
    elif kind == "cif":
        text = decode_text(data)
        blocks = cif_blocks(text)
        if len(blocks) < 2:
            yield Piece(name, "cif", blocks[0][1] if blocks else text)
        else:
            yield from (Piece(block or name, "cif", part) for block, part in blocks)
    else:
        yield Piece(name, kind, decode_text(data) if kind in ("poscar", "xdatcar") else data)


def _guess_kind(data: bytes, filename: str) -> str:
    """Return the kind of a file by its contents, for names that do not tell."""
    if b"\0" not in data and (kind := kind_of_text(decode_text(data[:MAX_TEXT_BYTES]))):
        return kind
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        format = filetype(io.BytesIO(data), guess=False)
    except UnknownFileTypeError:
        format = None
    if format == "vasp-xdatcar":
        return "xdatcar"
    if format not in ASE_FORMATS:
        raise InputError(
            f"{filename} has an unknown format"
            + (f" (ASE takes it for {format})" if format else "")
            + "; expected CIF, POSCAR, extxyz, a table (csv, parquet, json), a zip or a folder. "
            "Convert it, or name it after its format, e.g. NAME.cif"
        )
    return f"ase:{format}"


def _stem(path: PurePosixPath) -> str:
    """Return the name of a path without the suffixes of format and compression."""
    if path.suffix.lower() in _DECOMPRESSORS:
        path = path.with_suffix("")
    return str(path.with_suffix("") if path.suffix.lower() in _KIND_BY_SUFFIX else path)
