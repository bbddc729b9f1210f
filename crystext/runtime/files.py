"""Files and folders that are written atomically, their digests, and the cache folder.

A reader sees the old file or the new one, and a kill leaves one of the two: the contents go to a
file whose name ends in `.partial`, are flushed to disk, and the file is then renamed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystext.errors import RunError

if TYPE_CHECKING:
    import numpy as np

CACHE_VARIABLE = "CRYSTEXT_CACHE"
"""Environment variable that replaces the user's cache folder."""

PARTIAL_SUFFIX = ".partial"
"""Suffix of an unfinished file."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replace_atomically(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a path for writing a file or folder, which gets its real name on success.

    Args:
        path: the real name. Missing parent folders are made. An existing file is replaced; the
            caller must remove an existing folder first.
        shared: whether other processes may write the same path at the same time; each then has a
            separate unfinished file, which a kill leaves behind. Else the next writer removes it.

    Raises:
        OSError: see `explain_os_errors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{uuid.uuid4().hex}" if shared else ""
    partial = path.with_name(f"{path.name}{own}{PARTIAL_SUFFIX}")
    _remove(partial)
    try:
        yield partial
        if partial.is_file():
            _flush(partial)
        partial.replace(path)
    finally:
        _remove(partial)


@contextmanager
def replace_folder(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Yield an empty folder to write into, which replaces the existing one once it is complete.

    Python has no call that exchanges two folders: between two renames the name of the older one
    ends in `.previous`, and `current_folder` finds it after a kill at that moment.

    Args:
        folder: the real name.
        hidden: whether the temporary names start with a dot, for a folder among those that a user
            names: a folder with a temporary name is removed. `current_folder` finds none of these.

    Raises:
        OSError: see `explain_os_errors`. The existing folder is unchanged.
    """
    folder = folder.absolute()
    temporary = folder.with_name(f".{folder.name}") if hidden else folder
    partial = temporary.with_name(temporary.name + PARTIAL_SUFFIX)
    previous = _previous(temporary)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _flush(file)
        # If the folder is missing after a kill, the older one is the only copy.
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        partial.rename(folder)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(partial)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def current_folder(folder: Path) -> Path | None:
    """Return the last complete folder that `replace_folder` wrote; None if there is none.

    After a kill between the two renames, it is the older folder under its temporary name.
    """
    for path in (folder, _previous(folder)):
        if path.exists():
            return path
    return None


def _previous(folder: Path) -> Path:
    return folder.with_name(folder.name + ".previous")


def _flush(path: Path) -> None:
    """Flush a file to disk, so that a power cut does not truncate it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def explain_os_errors(
    path: Path,
    *,
    if_full: str = "free some space, or write elsewhere",
    otherwise: str = "choose a place where you may write",
) -> Iterator[None]:
    """Turn an OSError into a message about the path that cannot be written.

    Args:
        path: the path.
        if_full: what to do if the disk is full, or a quota or limit on file size is reached.
        otherwise: what to do in all other cases.

    Raises:
        RunError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = if_full if error.errno in _FULL else otherwise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RunError(f"{path} cannot be written: {reason}; {remedy}") from error


def write_text(path: str | Path, text: str, *, shared: bool = False) -> None:
    """Write a text file whole, in UTF-8, with the line ends that the text has.

    Raises:
        RunError: the place cannot be written, or is full.
    """
    _write(Path(path), lambda to: to.write_bytes(text.encode()), shared)


def write_json(path: str | Path, value: Any, *, shared: bool = False) -> None:
    """Write a value as an indented JSON file, whole.

    Raises:
        RunError: the place cannot be written, or is full.
    """
    write_text(path, json.dumps(value, indent=2) + "\n", shared=shared)


def write_parquet(path: str | Path, table: Any, *, shared: bool = False, **options: Any) -> None:
    """Write an Arrow table as a Parquet file, whole.

    Args:
        path: of the file.
        table: of pyarrow.
        shared: see `replace_atomically`.
        options: of `pyarrow.parquet.write_table`.

    Raises:
        RunError: the place cannot be written, or is full.
    """
    import pyarrow.parquet as pq

    _write(Path(path), lambda to: pq.write_table(table, to, **options), shared)


def write_npz(path: str | Path, *, shared: bool = False, **arrays: np.ndarray) -> None:
    """Write arrays as a compressed .npz file, whole.

    Raises:
        RunError: the place cannot be written, or is full.
    """
    import numpy as np

    def write(to: Path) -> None:
        # Given a path, NumPy appends .npz to a name without that suffix.
        with to.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    _write(Path(path), write, shared)


def _write(path: Path, write: Callable[[Path], object], shared: bool) -> None:
    with explain_os_errors(path), replace_atomically(path, shared=shared) as partial:
        write(partial)


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Return the digest of a file, in hexadecimal digits.

    Args:
        path: of the file.
        kind: `sha256`; `md5`; or `git`, the id of its git blob. Some sources publish only the last
            two, which detect a broken download, not a forged one.

    Raises:
        OSError: it cannot be read.
    """
    hashed = hashlib.sha256()
    if kind == "md5":
        hashed = hashlib.md5(usedforsecurity=False)
    elif kind == "git":
        hashed = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            hashed.update(block)
    return hashed.hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, in hexadecimal digits; the order of keys is ignored."""
    return text_digest(json.dumps(value, sort_keys=True))


def cache_folder() -> Path:
    """Return the folder for downloads and cached results."""
    from platformdirs import user_cache_path

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else user_cache_path("crystext", appauthor=False)
