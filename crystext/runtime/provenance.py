"""The provenance of a result: date, versions, commit, machine.

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
    "moyopy",
    "smact",
    "ase",
    "matgl",
    "chgnet",
    "torch",
    "transformers",
)
"""Distributions whose versions may affect results."""


class Provenance(StrictModel):
    """The provenance of a result."""

    date: str
    """ISO 8601, UTC."""
    crystext: str
    commit: str | None
    """Commit of the checkout that contains the package, if there is one."""
    python: str
    versions: dict[str, str]
    """Versions of the libraries that may affect results, by name."""
    machine: str
    """Processor and number of cores."""


def collect_provenance(libraries: tuple[str, ...] = LIBRARIES) -> Provenance:
    """Return the provenance of a result made now.

    Args:
        libraries: distributions whose versions are recorded, if they are installed.
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
    """Return the versions of the distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> str | None:
    """Return the commit of a checkout, marked if files have changed; None without a checkout."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    describe = [git, "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*",
                "--abbrev=12"]  # fmt: skip
    ended = subprocess.run(describe, capture_output=True, text=True, check=False)  # noqa: S603
    return ended.stdout.strip() or None


def processor_name() -> str:
    """Return the model name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()
