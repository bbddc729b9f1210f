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

from crystext.data.source import checksum, checksum_of_readable
from crystext.errors import InputError
from crystext.generation.run import read_attempts
from crystext.io.read import read_crystals, require_path
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.text import decode

UNREADABLE = "UNREADABLE"
"""Fault of what a file gives in place of a crystal."""

_ATTEMPTS_FILE, _SETTINGS_FILE = "attempts.jsonl", "settings.json"


@dataclass(frozen=True)
class EvaluatedSample:
    """An attempt of a generator."""

    name: str
    """Not always unique: what the source calls it, or its index."""
    crystal: Crystal | None
    failure: str | None = None
    """A word; None where there is a crystal."""
    message: str | None = None
    """A sentence about the fault."""
    conditions: Sequence[Mapping[str, Any]] = ()
    """What was asked for: name, asked, how, as `conditions.ConditionResult` has them."""
    labels: Mapping[str, float] = field(default_factory=dict)
    """Those of `property_schema.LABELS` that the source gives."""
    notes: tuple[str, ...] = ()
    """Sentences on what is only probable about the crystal."""


@dataclass(frozen=True)
class SampleSet:
    """All attempts of a source, in its order."""

    path: Path
    kind: str
    """`run`, `file` or `folder`."""
    samples: tuple[EvaluatedSample, ...]
    sha256: str
    """Of the file, or of the names and contents of a folder's files."""
    model: str | None = None
    """The model that drew it, where the source says so."""


def read_samples(source: str | Path, n: int | None = None, *, lenient: bool = False) -> SampleSet:
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
    path = require_path(source)
    if path.suffix in (".pt", ".pth", ".pkl", ".pickle"):
        raise InputError(
            f"{path} is a pickle, which runs code when it is opened, so it is not; write its "
            "arrays as a csv, parquet or json table with the columns lengths, angles, numbers and "
            "positions, or its structures as CIF or extxyz, where you trust it"
        )
    if (path / _ATTEMPTS_FILE).is_file():
        found = _read_run(path)
    else:
        found = SampleSet(
            path,
            "folder" if path.is_dir() else "file",
            tuple(
                EvaluatedSample(
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
            checksum_of_readable(path)[0],
        )
    if n is not None:
        if len(found.samples) < n:
            raise InputError(
                f"{path} holds {format_count(len(found.samples), 'attempt')}; {n:,} were asked for"
            )
        found = SampleSet(path, found.kind, found.samples[:n], found.sha256, found.model)
    if not any(attempt.crystal is not None for attempt in found.samples):
        first = found.samples[0].message if found.samples else None
        raise InputError(
            f"none of the {format_count(len(found.samples), 'attempt')} in {path} is a crystal"
            + (f"; of the first: {first}" if first else "")
        )
    return found


def _read_run(path: Path) -> SampleSet:
    attempts = []
    for attempt in read_attempts(path):
        decoded = decode(attempt["text"])
        fault = None if decoded.failure is None else decoded.failure.name
        if (fault is None) != (attempt["failure"] is None):
            raise InputError(
                f"attempt {attempt['index']} of {path} records the fault {attempt['fault']}, but "
                f"its text decodes as {fault or 'a crystal'}; was the file changed by hand?"
            )
        problem = None
        if decoded.failure is not None:
            problem = f"line {decoded.line}: {decoded.failure.value}; found {decoded.detail}"
        attempts.append(
            EvaluatedSample(
                str(attempt["index"]),
                decoded.crystal,
                fault,
                problem,
                tuple(attempt.get("conditions", ())),
            )
        )
    return SampleSet(
        path, "run", tuple(attempts), checksum(path / _ATTEMPTS_FILE), _model_of_run(path)
    )


def _model_of_run(path: Path) -> str | None:
    try:
        found = json.loads((path / _SETTINGS_FILE).read_text(encoding="utf-8")).get("model")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
