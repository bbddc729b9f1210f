"""The one writer of result files: what was measured, by which command, on which model and data.

A result file is a JSON object. The figures of the measurement come first; the fields below follow:

- `seconds`: how long the measurement took;
- `command`: as it is given in the root of a checkout; of absolute paths the last part is kept;
- `commit`: marked `-dirty` where files were changed since;
- `machine`: processor and number of cores;
- `versions`: of Python and of the packages that can decide on a figure;
- `model`: its name, and the SHA-256 of its weights; null where no model took part;
- `data`: the SHA-256 of every file or folder that was read, by name; of a run of `crystext sample`
  that of its samples, and the digest of the model that its settings record;
- `date`: in UTC.

A script passes its measurement as a function, so that the file is written only if it succeeds.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from crystext.data.source import checksum
from crystext.errors import CrystextError, InputError
from crystext.metrics.intervals import Proportion
from crystext.models.layout import model_folder
from crystext.runtime.provenance import git_commit, processor_name

Report = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "evaluation" / "results"
CURRENT = RESULTS / "CURRENT"
"""Names the folder of results of the shipped weights."""
INDEPENDENT = RESULTS / "independent_of_weights"
"""Folder of the results in which no weights take part."""


def current_results() -> Path:
    """Return the folder of the results of the shipped weights, `YYYY-MM-DD_weights-DIGEST7`."""
    return RESULTS / CURRENT.read_text(encoding="utf-8").strip()


def weights_digest(folder: Path) -> str:
    """Return the SHA-256 of a model folder's weights; of several files, that of their digests.

    Settings, tokenizer and prompts have no part in it: a figure is named by the weights.

    Raises:
        InputError: there are no weights.
    """
    digests = [checksum(path) for path in sorted(folder.glob("*.safetensors"))]
    if not digests:
        raise InputError(f"{folder} holds no weights; expected a model folder with *.safetensors")
    return digests[0] if len(digests) == 1 else _sha256("\n".join(digests))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_result(
    out: Path,
    measure: Callable[[], Report],
    *,
    script: str,
    arguments: Sequence[str],
    packages: Sequence[str] = (),
    model: str | Path | None = None,
    data: Sequence[Path] = (),
    misses: Callable[[Report], bool] = lambda report: False,
) -> int:
    """Measure, write the result file and show its proportions; return the exit status.

    Args:
        out: the file; its folder is made.
        measure: returns the figures; bad input raises a `CrystextError`.
        script: `__file__` of the script.
        arguments: of the command line.
        packages: whose versions are recorded, beside numpy and pymatgen.
        model: that took part: a name or a folder.
        data: files and folders that were read.
        misses: whether the figures miss what they have to reach; the file is written all the same.

    Returns:
        0, or 2 for bad input, or 1 if the figures miss what they have to reach.
    """
    started = time.monotonic()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        report = measure()
        report |= {
            "seconds": round(time.monotonic() - started, 1),
            **provenance(script, arguments, packages),
            "model": None if model is None else described(model),
            "data": {path.name: _read(path) for path in data},
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        partial = out.with_name(out.name + ".partial")
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(out)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    show(report)
    print(f"written to {out}", file=sys.stderr)
    return int(misses(report))


def described(model: str | Path) -> Report:
    """Return the name of a model and the digest of its weights."""
    return {
        "name": Path(model).name,
        "weights_sha256": weights_digest(model_folder(model)),
    }


def _read(path: Path) -> dict[str, str]:
    samples, settings = path / "attempts.jsonl", path / "settings.json"
    if not samples.is_file():
        return {"sha256": checksum(path)}
    found = {"sha256": checksum(samples)}
    if settings.is_file():
        recorded = json.loads(settings.read_text(encoding="utf-8")).get("model_sha256")
        found |= {} if recorded is None else {"model_sha256": recorded}
    return found


def provenance(script: str, arguments: Sequence[str], packages: Sequence[str]) -> Report:
    """Return command, commit, machine and versions."""
    # Folders of one machine mean nothing on another: of absolute paths the last part is kept.
    words = [Path(a).name if Path(a).is_absolute() else a for a in arguments]
    module = ".".join(Path(script).resolve().relative_to(ROOT).with_suffix("").parts)
    return {
        "command": shlex.join(["python", "-m", module, *words]),
        "commit": git_commit(ROOT),
        "machine": {"cpu": processor_name(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pymatgen", *packages)},
        },
    }


def share(count: int, of: int) -> Report:
    """Return count, proportion and 95% interval (Wilson) as they stand in a result file."""
    measured = Proportion(count, of)
    return {
        "count": count,
        "share": round(measured.value, 4),
        "interval_95": [round(end, 4) for end in measured.wilson_interval()],
    }


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a number as it stands in a result file; None for what is not finite."""
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def show(report: Report) -> None:
    """Print all proportions of a result to stdout, where it has any."""
    rows = _shares(report)
    if not rows:
        return
    table = Table("share", "count", "value", "95% interval")
    for name, row in rows:
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
