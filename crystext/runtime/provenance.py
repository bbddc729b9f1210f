"""Under which circumstances a result was made: date, versions, commit, machine.

Reports, result files and the starts of runs record it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crystext import __version__
from crystext.runtime.schema import StrictModel

LIBRARIES = (
    "numpy",
    "scipy",
    "pymatgen",
    "spglib",
    "smact",
    "ase",
    "matgl",
    "chgnet",
    "torch",
    "transformers",
)
"""Distributions whose versions may decide on a value."""


class Provenance(StrictModel):
    """The circumstances of a result."""

    date: str
    """ISO 8601, UTC."""
    crystext: str
    commit: str | None
    """Of the checkout that the package lies in, where it does."""
    python: str
    versions: dict[str, str]
    """Of the libraries that decide on values, by their names."""
    machine: str
    """Processor and number of cores."""


def collect_provenance(libraries: tuple[str, ...] = LIBRARIES) -> Provenance:
    """Return the circumstances of this moment.

    Args:
        libraries: distributions whose versions are recorded, where they are installed.
    """
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        crystext=__version__,
        commit=git_commit(Path(__file__).parents[2]),
        python=platform.python_version(),
        versions=installed_versions(libraries),
        machine=f"{processor_name()}, {os.cpu_count()} cores",
    )


def installed_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> str | None:
    """Return the commit of a checkout, marked if files changed since; None without a checkout."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    describe = [git, "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*",
                "--abbrev=12"]  # fmt: skip
    ended = subprocess.run(describe, capture_output=True, text=True, check=False)  # noqa: S603
    return ended.stdout.strip() or None


def processor_name() -> str:
    """Return what the processor calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()
