"""Files, folders and zips to pieces: what a source holds, one structure after another."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from crystext.errors import InputError, SettingError, in_words
from crystext.io.read.ase_database import database_pieces, database_size
from crystext.io.read.cif import cif_blocks
from crystext.io.read.crystext_outputs import ATTEMPTS, attempt_pieces, speaking
from crystext.io.read.folders import search
from crystext.io.read.json_tables import json_pieces
from crystext.io.read.libraries import ASE_FORMATS, PYMATGEN_FORMATS
from crystext.io.read.parse import MAX_OUTPUT, MAX_TEXT, Piece, as_text, kind_of_text
from crystext.io.read.tables import SPLIT_NAMES, csv_pieces, parquet_pieces, row_count

_COMPRESSED: dict[str, Callable[[BinaryIO], object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

_TABLES = {"csv": csv_pieces, "parquet": parquet_pieces, "json": json_pieces}

_SUFFIXES = {
    **{f".{kind}": kind for kind in (*_TABLES, "cif", "poscar", "extxyz", "zip")},
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
"""The kind of a file by the end of its name."""

_LINES = (".jsonl", ".ndjson")
"""Ends of names of JSON rows, line by line, that are read where they are asked for by name: runs of
this package keep their records so, beside the crystals that these are about."""

_STEMS = {"poscar": "poscar", "contcar": "poscar", "xdatcar": "xdatcar",
          "outcar": "ase:vasp-out", "vasprun": "ase:vasp-xml"}  # fmt: skip
"""The kind of a file by how its name begins, for VASP's files."""


class Entry(NamedTuple):
    """A file, on disk or in a zip."""

    path: PurePosixPath
    """Its path within the source."""
    open: Callable[[], BinaryIO]
    """Opens it for reading bytes, still compressed where it is."""
    disk: Path | None
    """Where it lies; None in a zip."""
    unreadable: OSError | None = None
    """Why it is not read at all, where it is a folder that cannot be searched."""


def pieces(source: Path, where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield what a source holds, in a fixed order.

    Args:
        source: a file, a folder, which is searched for files with names of known formats, or a zip.
        where: for tables, the value that each of these columns must have.

    Raises:
        InputError: the source is of no known kind, or a folder that cannot be searched.
        OSError: it is missing, or may not be read.
        SettingError: `where` names a column that is not there.
    """
    if source.is_dir():
        yield from _among_many(folder_entries(source), where)
    else:
        yield from _entry_pieces(_on_disk(source, source.name), where)


def size(source: Path, where: Mapping[str, str]) -> int | None:
    """Return about how many pieces a source holds, or None if that is not told cheaply."""
    try:
        if source.is_dir():
            return _added(folder_entries(source), where)
        if kind_of_name(source.name) == "zip":
            with zipfile.ZipFile(source) as archive:
                return _added(_members(archive), where)
        return _entry_size(_on_disk(source, source.name), where)
    except (InputError, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        # Reading the source meets the same, and tells it.
        return None


def kind_of_name(name: str) -> str | None:
    """Return the kind of a file by its name, compressed or not; None if unknown."""
    path = PurePosixPath(name)
    if path.name == ATTEMPTS:
        return "attempts"
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    if kind := _SUFFIXES.get(path.suffix.lower()):
        return kind
    begin = re.match(r"[a-z]*", path.name.lower()).group()  # type: ignore[union-attr]
    return _STEMS.get(begin)


def folder_entries(folder: Path) -> list[Entry]:
    """Return the files below a folder whose names are of known formats, in the order of reading.

    Raises:
        InputError: there is none, or the folder cannot be searched.
    """
    entries: list[Entry] = []
    for place, error in search(folder):
        if error is not None:
            entries.append(_on_disk(place, place.relative_to(folder))._replace(unreadable=error))
        elif kind_of_name(place.name) is not None:
            entries.append(_on_disk(place, place.relative_to(folder)))
    if not entries:
        raise InputError(
            f"the folder {folder} holds no file whose name is of a known format; expected .cif, "
            ".vasp, POSCAR, .extxyz, .csv, .parquet and the like"
        )
    return _speaking(entries)


def _speaking(entries: list[Entry]) -> list[Entry]:
    kept = speaking([entry.path for entry in entries])
    return [entry for entry in entries if entry.path in kept]


def _zip_pieces(entry: Entry, where: Mapping[str, str]) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(entry.open())
    except zipfile.BadZipFile as error:
        raise InputError(f"it is no zip file: {in_words(error, 'it is broken')}") from None
    with archive:
        members = _members(archive)
        if len(members) == 1:
            yield from _entry_pieces(members[0], where)
        else:
            yield from _among_many(members, where)


def _members(archive: zipfile.ZipFile) -> list[Entry]:
    def opener(info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
        return lambda: cast(BinaryIO, archive.open(info))

    members = [
        Entry(PurePosixPath(info.filename), opener(info), None)
        for info in sorted(archive.infolist(), key=lambda info: info.filename)
        if not info.is_dir()
        and not any(part.startswith((".", "__")) for part in PurePosixPath(info.filename).parts)
        and kind_of_name(info.filename) not in (None, "zip")
    ]
    if not members:
        raise InputError("the zip holds no file whose name is of a known format")
    return _speaking(members)


def _on_disk(path: Path, name: str | Path) -> Entry:
    return Entry(PurePosixPath(name), partial(_open, path), path)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _among_many(entries: list[Entry], where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield the pieces of many files; the failure of one is not the failure of all."""
    splits = _splits(entries)
    for entry in entries:
        split = splits.get(entry.path, "")
        try:
            if entry.unreadable is not None:
                raise entry.unreadable
            for piece in _entry_pieces(entry, where):
                # What tells the rows of a file apart says nothing of those of another.
                id = f"{entry.path}:{piece.id}" if piece.id else ""
                yield piece._replace(id=id, split=split or piece.split)
        except (InputError, OSError) as error:
            yield Piece(str(entry.path), "problem", str(error), split=split)


def _splits(entries: list[Entry]) -> dict[PurePosixPath, str]:
    """Return the split of each file, where the files or their folders are named after splits.

    So are train.csv, val.csv and test.csv, or train/*.cif and test/*.cif.

    Raises:
        InputError: some are, and others are not.
    """
    found: dict[PurePosixPath, str] = {}
    for entry in entries:
        words = [*entry.path.parent.parts, PurePosixPath(_stem(entry.path)).name]
        if word := next((word for word in words if word.lower() in SPLIT_NAMES), None):
            found[entry.path] = word
    named = {SPLIT_NAMES[word.lower()] for word in found.values()}
    if len(named) < 2 or "train" not in named:
        return {}
    if others := [str(x.path) for x in entries if x.path not in found and x.unreadable is None]:
        raise InputError(
            f"some of its files are named after splits, such as {next(iter(found))}, and others "
            f"are not, such as {others[0]}; take out what belongs to no split"
        )
    return found


def _added(entries: list[Entry], where: Mapping[str, str]) -> int | None:
    total = 0
    for entry in entries:
        if (one := _entry_size(entry, where)) is None:
            return None
        total += one
    return total


def _entry_size(entry: Entry, where: Mapping[str, str]) -> int | None:
    kind = kind_of_name(entry.path.name)
    if kind == "database":
        return database_size(entry.disk) if entry.disk and not where else None
    if kind in _TABLES:
        return row_count(kind, partial(_decompressed, entry), where)
    return 1 if kind in ("cif", "poscar") else None


def _entry_pieces(entry: Entry, where: Mapping[str, str]) -> Iterator[Piece]:
    name, kind = _stem(entry.path), kind_of_name(entry.path.name)
    if kind != "attempts" and PurePosixPath(name).suffix.lower() in _LINES:
        name, kind = str(PurePosixPath(name).with_suffix("")), "json"
    if kind == "zip":
        yield from _zip_pieces(entry, where)
        return
    if kind == "database":
        if entry.disk is None:
            raise InputError("a database is not read from inside of a zip; unpack it")
        yield from database_pieces(entry.disk, PurePosixPath(name).name, where)
        return
    open_ = partial(_decompressed, entry)
    try:
        if kind in _TABLES:
            yield from _TABLES[kind](open_, PurePosixPath(name).name, where)
        elif where:
            raise SettingError(f"--where needs a table; {entry.path} is none")
        elif kind == "attempts":
            yield from attempt_pieces(open_)
        elif kind == "extxyz":
            yield from _frames(open_, name)
        else:
            yield from _file_pieces(open_, name, kind, entry.path.name)
    except (
        EOFError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
        lzma.LZMAError,
    ) as error:
        # A file broken off, an encrypted member, a compression that is not known, a wrong checksum.
        raise InputError(f"it cannot be unpacked: {in_words(error, 'it is broken')}") from None
    except OSError as error:
        # What the system refuses has a number; what gzip and bz2 raise at broken data has none.
        if error.errno is not None:
            raise
        raise InputError(f"it cannot be unpacked: {in_words(error, 'it is broken')}") from None


def _decompressed(entry: Entry) -> BinaryIO:
    opener = _COMPRESSED.get(entry.path.suffix.lower())
    stream = entry.open()
    return stream if opener is None else cast(BinaryIO, opener(stream))


def _file_pieces(
    open_: Callable[[], BinaryIO], name: str, kind: str | None, filename: str
) -> Iterator[Piece]:
    output = kind is None or kind == "xdatcar" or kind.startswith("ase:")
    limit = MAX_OUTPUT if output else MAX_TEXT
    with open_() as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputError(
            f"it is larger than {limit:,} bytes, more than a structure needs; cut out what is none"
        )
    kind = kind or _guess(data, filename)
    if kind == "extxyz":
        yield from _frames(lambda: io.BytesIO(data), name)
    elif kind == "cif":
        text = as_text(data)
        blocks = cif_blocks(text)
        if len(blocks) < 2:
            yield Piece(name, "cif", blocks[0][1] if blocks else text)
        else:
            yield from (Piece(block or name, "cif", part) for block, part in blocks)
    else:
        yield Piece(name, kind, as_text(data) if kind in ("poscar", "xdatcar") else data)


def _guess(data: bytes, filename: str) -> str:
    """Return the kind of a file by its contents, where its name says nothing."""
    if b"\0" not in data and (kind := kind_of_text(as_text(data[:MAX_TEXT]))):
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
            f"{filename} is of no known format"
            + (f" (ASE takes it for {format})" if format else "")
            + "; expected CIF, POSCAR, extxyz, a table (csv, parquet, json), a zip or a folder. "
            "Convert it, or name it after its format, e.g. NAME.cif"
        )
    return f"ase:{format}"


def _frames(open_: Callable[[], BinaryIO], name: str) -> Iterator[Piece]:
    """Cut an xyz file into its frames: a line with the number of atoms, a comment, the atoms."""
    with open_() as stream:
        for i in range(1, 2**62):
            line = stream.readline(1000)
            while line.isspace():
                line = stream.readline(1000)
            if not line and i > 1:
                return
            count = line.strip()
            frame = f"{name}-{i}"
            if not count.isdigit() or len(count) > 7:
                found = repr(line[:40].decode("latin-1").rstrip("\n"))
                yield Piece(
                    frame,
                    "problem",
                    f"frame {i} starts with {found}; expected the number of its atoms alone on a "
                    "line. Nothing after it can be read",
                )
                return
            lines = [line]
            size = 0
            for _ in range(int(count) + 1):
                lines.append(stream.readline(MAX_TEXT))
                size += len(lines[-1])
                if size > MAX_TEXT:
                    yield Piece(frame, "problem", f"frame {i} is larger than {MAX_TEXT:,} bytes")
                    return
                if not lines[-1]:
                    yield Piece(frame, "problem", f"the file ends within frame {i}")
                    return
            data = b"".join(lines)
            if b"\0" in data:
                yield Piece(frame, "problem", "it is a binary file; expected text")
                return
            yield Piece(frame, "extxyz", as_text(data))


def _stem(path: PurePosixPath) -> str:
    """Return a path without the suffixes of format and compression."""
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    return str(path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path)
