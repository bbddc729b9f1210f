"""Files, folders and zips to pieces: what a source holds, one structure after another."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from crystext.errors import InputError, SettingError
from crystext.read.parse import (
    ASE_FORMATS,
    MAX_OUTPUT,
    MAX_TEXT,
    PYMATGEN_FORMATS,
    Piece,
    as_text,
    cif_blocks,
    kind_of_text,
)
from crystext.read.tables import csv_pieces, json_pieces, parquet_pieces

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
    ".vasp": "poscar",
    ".xyz": "extxyz",
    ".cell": "ase:castep-cell",
    ".cfg": "ase:cfg",
    ".cube": "ase:cube",
    ".gen": "ase:gen",
    ".magres": "ase:magres",
    ".pdb": "ase:proteindatabank",
    ".traj": "ase:traj",
    ".xsd": "ase:xsd",
}
"""The kind of a file by the end of its name."""

_STEMS = {"poscar": "poscar", "contcar": "poscar", "xdatcar": "ase:vasp-xdatcar",
          "outcar": "ase:vasp-out", "vasprun": "ase:vasp-xml"}  # fmt: skip
"""The kind of a file by how its name begins, for VASP's files."""


class Entry(NamedTuple):
    """A file, on disk or in a zip."""

    path: PurePosixPath
    """Its path within the source."""
    open: Callable[[], BinaryIO]
    """Opens it for reading bytes, still compressed where it is."""


def pieces(source: Path, where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield what a source holds, in a fixed order.

    Args:
        source: a file, a folder, which is searched for files with names of known formats, or a zip.
        where: for tables, the value that each of these columns must have.

    Raises:
        InputError: the source is of no known kind.
        OSError: it is missing, or may not be read.
        SettingError: `where` names a column that is not there.
    """
    if source.is_dir():
        yield from _folder_pieces(source, where)
    else:
        yield from _entry_pieces(Entry(PurePosixPath(source.name), partial(_open, source)), where)


def kind_of_name(name: str) -> str | None:
    """Return the kind of a file by its name, compressed or not; None if unknown."""
    path = PurePosixPath(name)
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    if kind := _SUFFIXES.get(path.suffix.lower()):
        return kind
    begin = re.match(r"[a-z]*", path.name.lower()).group()  # type: ignore[union-attr]
    return _STEMS.get(begin)


def _folder_pieces(folder: Path, where: Mapping[str, str]) -> Iterator[Piece]:
    met = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or kind_of_name(name) is None:
                continue
            met += 1
            path = Path(parent, name)
            entry = Entry(PurePosixPath(path.relative_to(folder)), partial(_open, path))
            yield from _among_many(entry, where)
    if not met:
        raise InputError(
            f"the folder {folder} holds no file whose name is of a known format; expected .cif, "
            ".vasp, POSCAR, .extxyz, .csv, .parquet and the like"
        )


def _zip_pieces(entry: Entry, where: Mapping[str, str]) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(entry.open())
    except zipfile.BadZipFile as error:
        raise InputError(f"it is no zip file: {error}") from None
    with archive:
        known = [
            info
            for info in sorted(archive.infolist(), key=lambda info: info.filename)
            if not info.is_dir()
            and not any(part.startswith((".", "__")) for part in PurePosixPath(info.filename).parts)
            and kind_of_name(info.filename) not in (None, "zip")
        ]
        if not known:
            raise InputError("the zip holds no file whose name is of a known format")
        for info in known:
            member = Entry(
                PurePosixPath(info.filename),
                lambda info=info: cast(BinaryIO, archive.open(info)),  # type: ignore[misc]
            )
            if len(known) == 1:
                yield from _entry_pieces(member, where)
            else:
                yield from _among_many(member, where)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _among_many(entry: Entry, where: Mapping[str, str]) -> Iterator[Piece]:
    """Yield the pieces of one file among many, whose failure is not the failure of all."""
    try:
        yield from _entry_pieces(entry, where)
    except (InputError, OSError) as error:
        yield Piece(str(entry.path), "problem", str(error))


def _entry_pieces(entry: Entry, where: Mapping[str, str]) -> Iterator[Piece]:
    name, kind = _stem(entry.path), kind_of_name(entry.path.name)
    if kind == "zip":
        yield from _zip_pieces(entry, where)
        return
    open_ = partial(_decompressed, entry)
    try:
        if kind in _TABLES:
            yield from _TABLES[kind](open_, PurePosixPath(name).name, where)
        elif where:
            raise SettingError(f"--where needs a table; {entry.path} is none")
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
        raise InputError(f"it cannot be unpacked: {error}") from None
    except OSError as error:
        # What the system refuses has a number; what gzip and bz2 raise at broken data has none.
        if error.errno is not None:
            raise
        raise InputError(f"it cannot be unpacked: {error}") from None


def _decompressed(entry: Entry) -> BinaryIO:
    opener = _COMPRESSED.get(entry.path.suffix.lower())
    stream = entry.open()
    return stream if opener is None else cast(BinaryIO, opener(stream))


def _file_pieces(
    open_: Callable[[], BinaryIO], name: str, kind: str | None, filename: str
) -> Iterator[Piece]:
    output = kind is None or kind.startswith("ase:")
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
        yield Piece(name, kind, as_text(data) if kind == "poscar" else data)


def _guess(data: bytes, filename: str) -> str:
    """Return the kind of a file by its contents, where its name says nothing."""
    if b"\0" not in data and (kind := kind_of_text(as_text(data[:MAX_TEXT]))):
        return kind
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        format = filetype(io.BytesIO(data), guess=False)
    except UnknownFileTypeError:
        format = None
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
