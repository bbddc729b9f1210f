"""Read folders that this package writes: the one file of each that holds all crystals.

    attempts.jsonl      of `crystext sample`: the samples that are crystals
    selected.jsonl      of `crystext sample --keep-best`: those of them that were chosen
    relaxed.parquet     of `crystext relax`: a row for each structure, failures included

All other files there repeat the same crystals, or describe them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from crystext.errors import InputError
from crystext.io.read.parse import Piece
from crystext.runtime.run_folder import rename_keys

ATTEMPTS_FILE, RELAXED_FILE = "attempts.jsonl", "relaxed.parquet"

SELECTED_FILE = "selected.jsonl"
"""The chosen samples of a run, beside all of them: lines of `attempts.jsonl` with further keys."""

EXPORT_INDEX_FILE = "export_index.csv"
"""Index of the files of an export, which holds no structures itself."""


ATTEMPT_EXPECTED = "a JSON object with index, text and failure"
"""The expected form of a line of attempts.jsonl."""

_KEYS_OF_0_1 = {"fault": "failure", "tries": "attempts", "matched": "satisfied"}
_CONDITION_KEYS_OF_0_1 = {
    "asked": "requested",
    "how": "handling",
    "found": "actual",
    "kept": "satisfied",
}


def primary_files(paths: list[PurePosixPath]) -> set[PurePosixPath]:
    """Return the files of a folder or zip to read: all, but only one per folder of crystext.

    Args:
        paths: paths of the files, within the folder or zip.
    """
    paths = [path for path in paths if path.name != EXPORT_INDEX_FILE]
    ours = {path.parent for path in paths if path.name in (ATTEMPTS_FILE, RELAXED_FILE)}
    if not ours:
        return set(paths)

    chosen = {path.parent for path in paths if path.name == SELECTED_FILE}

    def is_read(path: PurePosixPath) -> bool:
        inside = path.parents
        wanted = SELECTED_FILE if path.parent in chosen else ATTEMPTS_FILE
        if path.name in (wanted, RELAXED_FILE):
            inside = path.parent.parents
        return not any(folder in ours for folder in inside)

    return {path for path in paths if is_read(path)}


def parse_attempt(value: Any) -> dict[str, Any]:
    """Return a line of attempts.jsonl, with keys of version 0.1 renamed to the current ones.

    Args:
        value: its JSON value.

    Raises:
        ValueError, LookupError, TypeError: it is not a sample.
    """
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    attempt = rename_keys(value, _KEYS_OF_0_1)
    if isinstance(conditions := attempt.get("conditions"), list):
        attempt["conditions"] = [rename_keys(x, _CONDITION_KEYS_OF_0_1) for x in conditions]
    failure, index, text = attempt["failure"], attempt["index"], attempt["text"]
    if not (isinstance(index, int) and isinstance(text, str) and isinstance(failure, str | None)):
        raise ValueError("a value is of another kind")
    return attempt


def attempt_pieces(open_: Callable[[], BinaryIO]) -> Iterator[Piece]:
    """Yield the texts of a run that are crystals, named by their index, and its damaged lines.

    The last line may be truncated if the run was killed or is still going.

    Raises:
        InputError: no sample is a crystal, or no line is a sample.
    """
    count = crystals = 0
    damaged = ""
    with open_() as stream:
        for count, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                count -= 1
                break
            try:
                attempt = parse_attempt(json.loads(line))
            except (ValueError, LookupError, TypeError, RecursionError):
                problem = (
                    f"line {count} is damaged; expected {ATTEMPT_EXPECTED}, as crystext sample "
                    "writes it"
                )
                damaged = damaged or problem
                yield Piece(f"line {count}", "problem", problem)
                continue
            if attempt["failure"] is None:
                crystals += 1
                yield Piece(str(attempt["index"]), "text", attempt["text"])
    if not crystals and damaged:
        raise InputError(damaged)
    if not crystals:
        raise InputError(f"none of the {count:,} samples is a crystal")
