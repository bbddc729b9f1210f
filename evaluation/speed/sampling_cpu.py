"""Compare the CPU time of `crystext sample` with that of another version, in one run.

    python -m evaluation.speed.sampling_cpu --baseline ../crystext-660befb --n 2000 \
        --out sampling_cpu.json

The baseline is the root of a checkout or a wheel; both versions run from their own files, with the
same Python and the same installed libraries, one after the other, and take turns. A measurement is
a whole command: imports and the loading of the model, the user and system time of all its
processes. Each is the least of its repetitions. Unlike wall time, CPU time can be compared on a
machine that has other work to do, if only as a ratio: both take longer there.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from crystext.generation.run import read_attempts
from crystext.runtime.provenance import git_commit
from evaluation.result_file import ROOT, Report, write_result
from evaluation.speed.sampling_speed import memory_gb

PAUSE = 0.5
"""Seconds between two looks at the memory."""


def unpacked(baseline: Path, scratch: Path) -> Path:
    """Return the folder from which a version is imported; a wheel is unpacked."""
    if baseline.suffix != ".whl":
        return baseline.resolve()
    folder = scratch / "wheel"
    with zipfile.ZipFile(baseline) as wheel:
        wheel.extractall(folder)
    return folder


def run_command(root: Path, options: Sequence[str], scratch: Path) -> dict[str, float]:
    """Run `crystext sample` of a version; return CPU and wall seconds and the peak memory in GB."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # What is compiled is kept, as in an installation, and away from the versions themselves.
    environment = kept | {"PYTHONPATH": str(root), "PYTHONPYCACHEPREFIX": str(scratch / "cache")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "crystext", "sample", *options],
        cwd=scratch,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_gb(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(PAUSE)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"crystext sample of {root} ended with status {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_memory_gb": peak}


def own_name(root: Path, option: str) -> str:
    """Return an option as a version calls it: version 0.1 has --text for --text-format."""
    source = (root / "crystext" / "cli" / "sample.py").read_text(encoding="utf-8")
    return "--text" if option == "--text-format" and option not in source else option


def share_equal(first: Path, second: Path) -> float:
    """Return the share of texts that are the same in two runs."""
    pairs = list(zip(read_attempts(first), read_attempts(second), strict=True))
    equal = [bool(a["text"] == b["text"]) for a, b in pairs]
    return sum(equal) / len(equal)


def compare(
    versions: dict[str, Path], options: list[str], repeats: int, scratch: Path
) -> dict[str, Any]:
    """Run a command of both versions by turns; return the least times, and their ratio."""
    least: dict[str, Any] = {}
    outs: dict[str, Path] = {}
    for _ in range(repeats):
        for name, root in versions.items():
            outs[name] = Path(tempfile.mkdtemp(dir=scratch)) / "run"
            own = [own_name(root, option) for option in options]
            took = run_command(root, [*own, "--out", str(outs[name])], scratch)
            known = least.setdefault(name, took)
            least[name] = {
                key: (max if key == "peak_memory_gb" else min)(known[key], took[key])
                for key in took
            }
    return {
        "options": " ".join(options),
        **least,
        "cpu_ratio": least["present"]["cpu_seconds"] / least["baseline"]["cpu_seconds"],
        "wall_ratio": least["present"]["wall_seconds"] / least["baseline"]["wall_seconds"],
        "share_of_equal_texts": share_equal(outs["baseline"], outs["present"]),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    columns = ("CPU s, baseline", "CPU s, present", "ratio", "GB, present", "equal texts")
    table = Table("options", *columns)
    for found in result["commands"]:
        table.add_row(
            found["options"],
            f"{found['baseline']['cpu_seconds']:.1f}",
            f"{found['present']['cpu_seconds']:.1f}",
            f"{found['cpu_ratio']:.2f}",
            f"{found['present']['peak_memory_gb']:.2f}",
            f"{found['share_of_equal_texts']:.2%}",
        )
    Console(width=120).print(table)


def measure(given: argparse.Namespace) -> Report:
    """Compare single crystals and many, in both texts; print the table."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        versions = {"baseline": unpacked(given.baseline, scratch), "present": ROOT}
        commands = [compare(versions, ["--n", "1"], given.repeats + 1, scratch)]
        for text in given.texts:
            options = ["--n", str(given.n), "--text-format", text, "--workers", str(given.workers)]
            commands.append(compare(versions, options, given.repeats, scratch))
    result: Report = {
        "baseline_commit": git_commit(given.baseline) if given.baseline.is_dir() else None,
        "load_average": os.getloadavg()[1],
        "commands": commands,
    }
    show(result)
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--baseline", type=Path, required=True, help="a checkout or a wheel")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--texts", nargs="+", default=["wyckoff", "plain"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        packages=("crystext", "torch", "transformers", "spglib", "moyopy"),
        model="shipped",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
