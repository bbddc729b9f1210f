"""Samples to evaluate: records, each a crystal or a failure.

Of a run of `crystext sample` these are all texts, or the chosen ones if the best were kept; of
anything else what `io.read` reads: CIFs in a folder or zip, extxyz, csv, parquet, ...

Invalid samples count as failures: unreadable samples stay, with their failure, in every
denominator. A text is decoded once, here, in the format of its run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crystext.data.source import checksum, checksum_of_readable
from crystext.errors import CrystextError, InputError, describe_error
from crystext.generation.run import read_attempts
from crystext.generation.selected_file import read_selected, read_selection
from crystext.generation.selection import SelectionSummary
from crystext.io.read import read_crystals, require_path
from crystext.io.read.crystext_outputs import ATTEMPTS_FILE, SELECTED_FILE
from crystext.models.layout import SHIPPED, model_folder, read_description
from crystext.runtime.wording import format_count
from crystext.structures.record import Failure, Label, Record
from crystext.text import Format, decode, get_format

_SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class SampleSet:
    """All samples of a source, in its order."""

    path: Path
    kind: str
    """`run`, `file` or `folder`."""
    samples: tuple[Record, ...]
    sha256: str
    """Digest of the file, or of the names and contents of a folder's files."""
    model: str | None = None
    """The model of the samples, if the source names it."""
    log_probabilities: tuple[float | None, ...] = ()
    """Of the texts, in nats, as the sampler recorded them; empty if the source has none."""
    selection: SelectionSummary | None = None
    """What these samples are, if they were chosen among those of a run."""


def read_samples(
    source: str | Path,
    n: int | None = None,
    *,
    lenient: bool = False,
    all_attempts: bool = False,
) -> SampleSet:
    """Read all samples, or the first n of them.

    Args:
        source: a run directory, or anything that `read_crystals` reads.
        n: number of samples to read, from the first; None reads all.
        lenient: see `read_crystals`.
        all_attempts: read all samples of a run of which the best were kept, not only these.

    Raises:
        InputError: the source is missing or of no known kind, holds no crystal, or has fewer than n
            samples.
        RunError: a run directory is damaged.
    """
    path = require_path(source)
    if path.suffix in (".pt", ".pth", ".pkl", ".pickle"):
        raise InputError(
            f"{path} is a pickle, which could run code when opened, so it is not read; write its "
            "arrays as a csv, parquet or json table with the columns lengths, angles, numbers and "
            "positions, or its structures as CIF or extxyz, where you trust it"
        )
    if path.name == SELECTED_FILE and (path.parent / ATTEMPTS_FILE).is_file():
        path = path.parent
    if (path / ATTEMPTS_FILE).is_file():
        found = _read_run(path, all_attempts)
    else:
        found = SampleSet(
            path,
            "folder" if path.is_dir() else "file",
            tuple(read_crystals(path, lenient=lenient)),
            checksum_of_readable(path)[0],
            selection=None if all_attempts else _selection_of_export(path),
        )
    if n is not None:
        if len(found.samples) < n:
            raise InputError(
                f"{path} holds {format_count(len(found.samples), 'attempt')}; {n:,} were requested"
            )
        found = replace(
            found, samples=found.samples[:n], log_probabilities=found.log_probabilities[:n]
        )
    if not any(attempt.crystal is not None for attempt in found.samples):
        first = found.samples[0].message if found.samples else None
        raise InputError(
            f"none of the {format_count(len(found.samples), 'attempt')} in {path} is a crystal"
            + (f"; of the first: {first}" if first else "")
        )
    return found


def _read_run(path: Path, all_attempts: bool) -> SampleSet:
    settings = _read_settings(path)
    fmt, model = _format_of_run(settings), settings.get("model")
    selection = None if all_attempts else read_selection(path)
    if selection is None:
        name, attempts = ATTEMPTS_FILE, list(read_attempts(path))
    else:
        name, attempts = SELECTED_FILE, read_selected(path)
    return SampleSet(
        path,
        "run",
        tuple(_read_attempt(attempt, fmt, path) for attempt in attempts),
        checksum(path / name),
        model if isinstance(model, str) else None,
        tuple(attempt.get("log_probability") for attempt in attempts),
        selection,
    )


def _selection_of_export(path: Path) -> SelectionSummary | None:
    """Return what crystals are that were written beside the chosen samples of a run."""
    folder = path.resolve().parent
    is_export = path.name != ATTEMPTS_FILE and (folder / ATTEMPTS_FILE).is_file()
    return read_selection(folder) if is_export else None


def _read_attempt(attempt: dict[str, Any], fmt: Format | None, path: Path) -> Record:
    name = str(attempt["index"])
    decoded = decode(attempt["text"], format=fmt)
    recorded = attempt["failure"]
    if fmt is not None and (decoded.failure is None) != (recorded is None):
        # The model's folder may hold another model by now.
        decoded = decode(attempt["text"])
    kind = None if decoded.failure is None else decoded.failure.name
    if (kind is None) != (recorded is None):
        raise InputError(
            f"attempt {name} of {path} records the failure {recorded}, but its text decodes as "
            f"{kind or 'a crystal'}; was the file changed by hand?"
        )
    failure = None
    if decoded.failure is not None:
        message = f"line {decoded.line}: {decoded.failure.value}; found {decoded.detail}"
        failure = Failure(decoded.failure.name, message)
    conditions = _requested_conditions(name, attempt.get("conditions", ()))
    # What reads the text again, such as a predictor, need not write it.
    texts = {} if fmt is None or failure is not None else {fmt.name: attempt["text"]}
    return Record(decoded.crystal, name=name, failure=failure, conditions=conditions, texts=texts)


def _requested_conditions(name: str, conditions: Any) -> dict[str, Label]:
    """Return the values requested for a sample, by condition."""
    try:
        return {str(x["name"]): x["requested"] for x in conditions}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"attempt {name} has invalid conditions: "
            f"{describe_error(error, 'their names or values are others')}"
        ) from None


def _format_of_run(settings: dict[str, Any]) -> Format | None:
    """Return the format of a run's texts; None if it is unknown, and decoding detects it."""
    name, model = settings.get("format"), settings.get("model")
    try:
        if isinstance(name, str):
            return get_format(name)
        # A model that is not on this machine is not downloaded for this purpose.
        if isinstance(model, str) and (model == SHIPPED or Path(model).is_dir()):
            return read_description(model_folder(model)).format
    except CrystextError:
        pass
    return None


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path / _SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
