"""Sources of `crystext data prepare`, by path, by name or by id.

a path          any file, folder or zip that `read_crystals` reads
a name          a data set of the catalogue, downloaded once
mp:...          ids of the Materials Project
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crystext.data.catalogue import CATALOGUE, fetch
from crystext.data.materials_project import SOURCE_PREFIX, check_client, parse_ids, project_pieces
from crystext.data.store import STORE_FILE
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.io.read.parse import Piece
from crystext.io.read.sources import estimate_size, folder_entries, pieces
from crystext.runtime.files import file_digest


class Source(NamedTuple):
    """A source that exists."""

    name: str
    """As the user gave it."""
    pieces: Callable[[], Iterator[Piece]]
    """Reads it, once."""
    estimate_size: Callable[[], int | None]
    """Estimates the number of structures; None if counting requires reading it."""
    describe: Callable[[], dict[str, Any]]
    """Returns its entry in `store.json`: name, and checksum of the files read, as opened."""


def open_source(
    source: str | Path,
    where: Mapping[str, str],
    start_progress: Callable[[str, int], Callable[[int], object]],
    *,
    other_names: Sequence[str] = (),
) -> Source:
    """Open a source; a data set of the catalogue is downloaded.

    Args:
        source: a path, a name of the catalogue, or ids after `mp:`. An existing path takes
            precedence over a name, unless it is a store.
        where: for tables, the value that each of these columns must have.
        start_progress: shows downloads; see `catalogue.fetch`.
        other_names: names that the caller knows besides those of the catalogue, for the message.

    Raises:
        InputError: nothing has this name, or the download fails.
        SettingError: the Materials Project cannot serve the request.
    """
    name = str(source)
    if name.startswith(SOURCE_PREFIX):
        if where:
            raise SettingError("--where needs a table; ids of the Materials Project are not one")
        ids = parse_ids(name)
        check_client()
        about = {"name": "Materials Project", "ids": ids}
        return Source(name, lambda: project_pieces(ids), lambda: len(ids), lambda: about)
    path = Path(source)
    if name in CATALOGUE and not (path.exists() and not (path / STORE_FILE).exists()):
        path = fetch(name, CATALOGUE[name], start_progress)
    elif not path.exists():
        names = [*other_names, *CATALOGUE]
        raise InputError(
            f"no file or folder {name}, and no data set of that name; check the path. Data sets "
            f"that have a name are {', '.join(names)}."
            + (did_you_mean(name, names) if os.sep not in name else "")
        )
    elif (path / STORE_FILE).exists():
        raise InputError(f"{name} is a store already; a training run reads it directly")
    sha256, unreadable = checksum_of_readable(path)
    about_source: dict[str, Any] = {"name": Path(name).name, "sha256": sha256}
    if unreadable:
        about_source["unreadable"] = unreadable
    return Source(
        name, lambda: pieces(path, where), lambda: estimate_size(path, where), lambda: about_source
    )


def checksum_of_readable(path: Path) -> tuple[str, list[str]]:
    """Return the checksum of a file, or of the files of a folder that are read as crystals.

    Returns:
        The checksum, and the unreadable files, which reading skips.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if path.is_file():
            return file_digest(path), []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    hashed = hashlib.sha256()
    unreadable: list[str] = []
    for entry in folder_entries(path):
        try:
            assert entry.disk_path is not None
            hashed.update(f"{file_digest(entry.disk_path)}  {entry.path}\n".encode())
        except OSError:
            unreadable.append(str(entry.path))
    return hashed.hexdigest(), unreadable


def checksum(path: Path) -> str:
    """Return the digest of a file, or of all files of a folder that is not a source."""
    if path.is_file():
        return file_digest(path)
    hashed = hashlib.sha256()
    for parent, folders, files in os.walk(path):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            file = Path(parent, name)
            hashed.update(f"{file_digest(file)}  {file.relative_to(path).as_posix()}\n".encode())
    return hashed.hexdigest()
