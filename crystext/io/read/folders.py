"""List the files below a folder, whatever their contents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crystext.errors import InputError


def walk_files(folder: Path) -> Iterator[tuple[Path, OSError | None]]:
    """Yield the files below a folder, sorted, those of each folder before those of its folders.

    A folder that cannot be searched is yielded like a file, with the reason. Hidden files and
    folders are skipped. Links are followed, except to a folder that is searched anyway.

    Raises:
        InputError: the folder itself cannot be searched.
    """
    top = folder.resolve()
    met: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            found = place.stat()
            inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError as error:
            if place == folder:
                reason = error.strerror or error
                raise InputError(f"the folder {folder} cannot be searched: {reason}") from None
            yield place, error
            continue
        # A link may lead back to a folder already searched.
        if (found.st_dev, found.st_ino) in met:
            continue
        met.add((found.st_dev, found.st_ino))
        folders = [path for path in inside if _is_folder(path)]
        known = set(folders)
        for path in inside:
            if path not in known:
                yield path, None
        waiting += [path for path in reversed(folders) if not _is_link_into(path, top)]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A link into a folder without permission; opening it fails too, and reports why.
        return False


def _is_link_into(path: Path, top: Path) -> bool:
    return path.is_symlink() and path.resolve().is_relative_to(top)
