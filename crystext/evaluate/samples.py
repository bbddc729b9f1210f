"""What is evaluated: attempts, each a crystal or the reason why there is none.

    a run directory         of `crystext sample`: every text that was drawn
    anything else           what `read` reads: CIFs in a folder or zip, extxyz, csv, parquet, ...

What cannot be read is an attempt, too: it stays, with its fault, in every denominator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystext.data.source import checksum, checksum_of_read
from crystext.errors import InputError
from crystext.generation.run import read_attempts
from crystext.io.read import existing, read_crystals
from crystext.runtime.wording import counted
from crystext.structures.crystal import Crystal
from crystext.text import decode

UNREADABLE = "UNREADABLE"
"""Fault of what a file gives in place of a crystal."""

_ATTEMPTS, _SETTINGS = "attempts.jsonl", "settings.json"


@dataclass(frozen=True)
class Drawn:
    """An attempt of a generator."""

    name: str
    """Not always unique: what the source calls it, or its index."""
    crystal: Crystal | None
    fault: str | None = None
    """A word; None where there is a crystal."""
    problem: str | None = None
    """A sentence about the fault."""
    conditions: Sequence[Mapping[str, Any]] = ()
    """What was asked for: name, asked, how, as `conditions.Kept` has them."""
    labels: Mapping[str, float] = field(default_factory=dict)
    """Those of `property_schema.LABELS` that the source gives."""
    notes: tuple[str, ...] = ()
    """Sentences on what is only probable about the crystal."""


@dataclass(frozen=True)
class Input:
    """All attempts of a source, in its order."""

    path: Path
    kind: str
    """`run`, `file` or `folder`."""
    attempts: tuple[Drawn, ...]
    sha256: str
    """Of the file, or of the names and contents of a folder's files."""
    model: str | None = None
    """The model that drew it, where the source says so."""


def read_input(source: str | Path, n: int | None = None, *, lenient: bool = False) -> Input:
    """Read all attempts, or the first n of them.

    Args:
        source: a run directory, or anything that `read_crystals` reads.
        n: the first so many attempts; None takes all.
        lenient: see `read_crystals`.

    Raises:
        InputError: there is nothing there, it is of no known kind, no attempt is a crystal, or
            there are fewer than n.
        RunError: a run directory is damaged.
    """
    path = existing(source)
    if path.suffix in (".pt", ".pth", ".pkl", ".pickle"):
        raise InputError(
            f"{path} is a pickle, which runs code when it is opened, so it is not; write its "
            "arrays as a csv, parquet or json table with the columns lengths, angles, numbers and "
            "positions, or its structures as CIF or extxyz, where you trust it"
        )
    if (path / _ATTEMPTS).is_file():
        found = _run(path)
    else:
        found = Input(
            path,
            "folder" if path.is_dir() else "file",
            tuple(
                Drawn(
                    item.name,
                    item.crystal,
                    None if item.crystal is not None else UNREADABLE,
                    item.problem,
                    (),
                    item.labels,
                    item.notes,
                )
                for item in read_crystals(path, lenient=lenient)
            ),
            checksum_of_read(path)[0],
        )
    if n is not None:
        if len(found.attempts) < n:
            raise InputError(
                f"{path} holds {counted(len(found.attempts), 'attempt')}; {n:,} were asked for"
            )
        found = Input(path, found.kind, found.attempts[:n], found.sha256, found.model)
    if not any(attempt.crystal is not None for attempt in found.attempts):
        first = found.attempts[0].problem if found.attempts else None
        raise InputError(
            f"none of the {counted(len(found.attempts), 'attempt')} in {path} is a crystal"
            + (f"; of the first: {first}" if first else "")
        )
    return found


def _run(path: Path) -> Input:
    attempts = []
    for attempt in read_attempts(path):
        decoded = decode(attempt["text"])
        fault = None if decoded.fault is None else decoded.fault.name
        if (fault is None) != (attempt["fault"] is None):
            raise InputError(
                f"attempt {attempt['index']} of {path} records the fault {attempt['fault']}, but "
                f"its text decodes as {fault or 'a crystal'}; was the file changed by hand?"
            )
        problem = None
        if decoded.fault is not None:
            problem = f"line {decoded.line}: {decoded.fault.value}; found {decoded.detail}"
        attempts.append(
            Drawn(
                str(attempt["index"]),
                decoded.crystal,
                fault,
                problem,
                tuple(attempt.get("conditions", ())),
            )
        )
    return Input(path, "run", tuple(attempts), checksum(path / _ATTEMPTS), _model(path))


def _model(path: Path) -> str | None:
    try:
        found = json.loads((path / _SETTINGS).read_text(encoding="utf-8")).get("model")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
