"""Folders that this package makes, read as crystals: what in them speaks for the whole.

    attempts.jsonl      a run of `crystext sample`: the attempts that are crystals
    relaxed.parquet     of `crystext relax`: a row for each structure, failures included

What else lies there is the same crystals again, or tells of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from crystext.errors import InputError
from crystext.io.read.parse import Piece

ATTEMPTS_FILE, RELAXED_FILE = "attempts.jsonl", "relaxed.parquet"


def primary_files(paths: list[PurePosixPath]) -> set[PurePosixPath]:
    """Return those files of a folder or zip that are read: all, but of our own folders one each.

    Args:
        paths: of the files, within the folder or zip.
    """
    ours = {path.parent for path in paths if path.name in (ATTEMPTS_FILE, RELAXED_FILE)}
    if not ours:
        return set(paths)

    def is_read(path: PurePosixPath) -> bool:
        inside = path.parents
        if path.name in (ATTEMPTS_FILE, RELAXED_FILE):
            inside = path.parent.parents
        return not any(folder in ours for folder in inside)

    return {path for path in paths if is_read(path)}


def attempt_pieces(open_: Callable[[], BinaryIO]) -> Iterator[Piece]:
    """Yield the texts of a run that are crystals, named by their index, and its damaged lines.

    The last line may be torn, where the run was killed or goes on.

    Raises:
        InputError: no attempt is a crystal, or no line an attempt.
    """
    count = crystals = 0
    damaged = ""
    with open_() as stream:
        for count, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                count -= 1
                break
            try:
                attempt = json.loads(line)
                name, text, fault = str(attempt["index"]), attempt["text"], attempt["fault"]
                if not (isinstance(text, str) and isinstance(fault, str | None)):
                    raise ValueError
            except (ValueError, KeyError, TypeError, RecursionError):
                problem = (
                    f"line {count} is no attempt; expected an object with index, text and fault, "
                    "as crystext sample writes it"
                )
                damaged = damaged or problem
                yield Piece(f"line {count}", "problem", problem)
                continue
            if fault is None:
                crystals += 1
                yield Piece(name, "text", text)
    if not crystals and damaged:
        raise InputError(damaged)
    if not crystals:
        raise InputError(f"none of the {count:,} attempts is a crystal")
