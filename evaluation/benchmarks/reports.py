"""What benchmarks of drawn crystals share: attempts, references, shares, where numbers are from."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from crystext.errors import CrystextError, InputError
from crystext.io.read import read_crystals
from crystext.metrics.intervals import Proportion
from crystext.runtime.provenance import git_commit, processor_name
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.text import PLAIN, WYCKOFF, Decoded, decode
from crystext.text.wyckoff import is_wyckoff_text

Report = dict[str, Any]


def read_attempts(path: Path, n: int | None = None) -> list[Decoded]:
    """Decode the text of every attempt, or of the first n, in the order of their indices."""
    attempts: dict[int, Decoded] = {}
    if not path.is_file():
        raise InputError(f"there is no {path}; expected the folder of a run of `crystext sample`")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                attempt = json.loads(line)
                index, recorded = int(attempt["index"]), attempt["fault"]
                fmt = WYCKOFF if is_wyckoff_text(attempt["text"]) else PLAIN
                decoded = decode(attempt["text"], format=fmt)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f"line {number} of {path} is no attempt (a JSON object with index, text and "
                    "fault); if the run was interrupted, finish it with its own command"
                ) from None
            if index in attempts:
                raise InputError(f"line {number} of {path} repeats attempt {index}")
            if (recorded is None) != bool(decoded):
                found = "a crystal" if decoded.failure is None else decoded.failure.name
                raise InputError(
                    f"line {number} of {path} records the fault {recorded}, but its text decodes "
                    f"as {found}; was it written in another format than {fmt.name!r}?"
                )
            attempts[index] = decoded
    if len(attempts) < (n or 1):
        raise InputError(f"{path} holds {len(attempts)} attempts; draw more with `crystext sample`")
    return [attempts[index] for index in islice(sorted(attempts), n)]


def read_records(path: Path, where: str | None = None) -> list[Record]:
    """Read all structures of a source with the labels beside them; refuse it if one is unreadable.

    Args:
        path: anything that `read_crystals` reads.
        where: `COLUMN=VALUE`, for tables.
    """
    column, _, value = (where or "").partition("=")
    records = []
    for item in read_crystals(path, where={column: value} if where else None):
        if item.crystal is None:
            raise InputError(f"{path}, {item.name}: {item.message}")
        records.append(Record(item.crystal, item.labels))
    return records


def read_reference(path: Path, where: str | None = None) -> list[Crystal]:
    """Read the crystals of a source."""
    return [record.require_crystal() for record in read_records(path, where)]


def share(count: int, of: int) -> Report:
    """Return count, share and interval as they stand in a report."""
    measured = Proportion(count, of)
    return {
        "count": count,
        "share": round(measured.value, 4),
        "interval_95": [round(end, 4) for end in measured.wilson_interval()],
    }


def origin(script: str, arguments: Sequence[str], packages: Sequence[str] = ()) -> Report:
    """Return what made the numbers: command, commit, machine, versions, date."""
    # Folders of one machine mean nothing on another: of absolute paths the last part is kept.
    words = [Path(a).name if Path(a).is_absolute() else a for a in arguments]
    path, root = Path(script).resolve(), Path(__file__).resolve().parents[2]
    return {
        "command": shlex.join(["python", path.relative_to(root).as_posix(), *words]),
        # With -dirty where files were changed since.
        "commit": git_commit(root),
        "machine": {"cpu": processor_name(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pymatgen", *packages)},
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def publish(out: Path, measure: Callable[[], Report], made: Report) -> int:
    """Measure, write the report to `out` with what made it, show its shares; return the status."""
    started = time.monotonic()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        report = measure()
        report |= {"seconds": round(time.monotonic() - started, 1), **made}
        partial = out.with_name(out.name + ".partial")
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(out)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    show(report)
    return 0


def show(report: Report) -> None:
    """Print all shares of a report to stdout."""
    table = Table("share", "count", "value", "95% interval")
    for name, row in _shares(report):
        low, high = row["interval_95"]
        table.add_row(name, f"{row['count']:,}", f"{row['share']:.1%}", f"{low:.1%} to {high:.1%}")
    Console().print(table)


def _shares(report: Report, prefix: str = "") -> list[tuple[str, Report]]:
    found = []
    for name, value in report.items():
        if isinstance(value, dict) and "interval_95" in value:
            found.append((prefix + name, value))
        elif isinstance(value, dict):
            found += _shares(value, "" if name in ("shares", "faults") else f"{prefix}{name}: ")
    return found


def progress(what: str) -> Callable[[int, int], None]:
    """Return a function that says now and then on stderr how much is done."""
    said = 0.0

    def report(done: int, whole: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said > 20 or done == whole:
            said = now
            print(f"{what}: {done}/{whole}", file=sys.stderr, flush=True)

    return report


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a number as it stands in a report; None for what is not finite."""
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
