"""Measure what a run of `crystext sample` drew.

    python evaluation/benchmarks/sample_quality.py RUN_DIR --train STORE \
        --reference mp20_test.parquet --out evaluation/results/shipped_quality.json

Every share divides by all attempts, those included that are no crystal. RUN_DIR/attempts.jsonl
holds one JSON object per attempt, with at least `index`, `text` and `fault`. `--train` is a store
made by `crystext data prepare`, of which the training split counts; `--reference` is a Parquet
file with a column `cif`, whose distributions of density and number of elements the crystals are
compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import spglib
from pymatgen.core.structure import Structure
from rich.console import Console
from rich.table import Table
from scipy.stats import wasserstein_distance

from crystext.codec import PLAIN, Decoded, decode
from crystext.crystal import Crystal
from crystext.data.store import read_store
from crystext.errors import CrystextError, InputError
from crystext.matching import DIFFCSP, reduce_for_matching
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.novelty import matches_in
from crystext.metrics.share import Share
from crystext.metrics.structure_validity import is_structure_valid
from crystext.metrics.uniqueness import duplicates_of
from crystext.properties import density, reduced_formula

SYMPREC = 0.1
"""Å; the tolerance at which the field reports space groups."""


def read_attempts(path: Path) -> list[Decoded]:
    """Decode the text of every attempt, in the order of their indices."""
    attempts: dict[int, Decoded] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                attempt = json.loads(line)
                index, recorded = int(attempt["index"]), attempt["fault"]
                decoded = decode(attempt["text"], format=PLAIN)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f"line {number} of {path} is no attempt (a JSON object with index, text and "
                    "fault); if the run was interrupted, finish it with its own command"
                ) from None
            if index in attempts:
                raise InputError(f"line {number} of {path} repeats attempt {index}")
            if (recorded is None) != bool(decoded):
                found = "a crystal" if decoded.fault is None else decoded.fault.name
                raise InputError(
                    f"line {number} of {path} records the fault {recorded}, but its text decodes "
                    f"as {found}; was it written in another format than {PLAIN.name!r}?"
                )
            attempts[index] = decoded
    if not attempts:
        raise InputError(f"{path} holds no attempt; draw some with `crystext sample`")
    return [attempts[index] for index in sorted(attempts)]


def verdicts(crystals: Sequence[Crystal], train: Path, workers: int) -> dict[str, list[bool]]:
    """Return what every metric says of each crystal."""
    duplicates = duplicates_of(crystals, workers=workers)
    matches = matches_in(crystals, read_store(train, "train"), workers=workers)
    compositions = {
        f"composition valid, {table}{'' if alloys else ', no alloy shortcut'}": [
            is_composition_valid(c.numbers, table=table, alloys=alloys) for c in crystals
        ]
        for table in ("smact14", "icsd24")
        for alloys in (True, False)
    }
    structures = [is_structure_valid(c) for c in crystals]
    both = _all(structures, compositions["composition valid, smact14"])
    unique = [earlier is None for earlier in duplicates]
    novel = [row is None for row in matches]
    return {
        "parsed": [True] * len(crystals),
        "structurally valid": structures,
        "structurally valid, self-images included": [
            is_structure_valid(c, self_images=True) for c in crystals
        ],
        **compositions,
        "valid (structure, smact14)": both,
        "unique": unique,
        "matching a training structure": [not n for n in novel],
        "valid, unique and novel": _all(both, unique, novel),
        "too thin to be matched": [reduce_for_matching(c) is None for c in crystals],
    }


def _all(*columns: list[bool]) -> list[bool]:
    return [all(row) for row in zip(*columns, strict=True)]


def space_group(crystal: Crystal) -> str:
    """Return number and symbol of the space group, or `none found`."""
    cell = (crystal.lattice, crystal.positions, crystal.numbers)
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)
    except spglib.SpglibError:
        found = None
    return "none found" if found is None else f"{found.number} {found.international}"


def read_reference(path: Path) -> list[Crystal]:
    """Read the crystals of a Parquet file with a column `cif`."""
    try:
        cifs = pq.read_table(path, columns=["cif"])["cif"].to_pylist()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no Parquet file with a column `cif`: {error}") from None
    return [Crystal.from_structure(Structure.from_str(cif, fmt="cif")) for cif in cifs]


def distances(crystals: Sequence[Crystal], reference: Sequence[Crystal]) -> dict[str, float]:
    """Return the Wasserstein distances of two sets of crystals."""
    quantities = {"density_g_per_cm3": density, "n_elements": n_elements}
    return {
        name: round(
            float(wasserstein_distance([f(c) for c in crystals], [f(c) for c in reference])), 4
        )
        for name, f in quantities.items()
    }


def n_elements(crystal: Crystal) -> int:
    """Return the number of different elements."""
    return len(np.unique(crystal.numbers))


def share(count: int, of: int) -> dict[str, Any]:
    """Return count, share and interval as they stand in the report."""
    measured = Share(count, of)
    return {
        "count": count,
        "share": round(measured.value, 4),
        "interval_95": [round(end, 4) for end in measured.interval()],
    }


def origin(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what made the numbers: command, commit, machine, versions, date."""
    # Folders of one machine mean nothing on another: of absolute paths the last part is kept.
    words = [Path(a).name if Path(a).is_absolute() else a for a in arguments]
    return {
        "command": shlex.join(["python", "evaluation/benchmarks/sample_quality.py", *words]),
        "commit": _git("rev-parse", "--quiet", "--verify", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "machine": {"cpu": _cpu_model(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pymatgen", "smact", "spglib", "scipy")},
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    """Return what git says of the checkout; None without git, repository or answer."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def measure(run: Path, train: Path, reference: Path | None, workers: int) -> dict[str, Any]:
    """Return the report of one run."""
    decoded = read_attempts(run / "attempts.jsonl")
    n = len(decoded)
    crystals = [d.crystal for d in decoded if d.crystal is not None]
    faults = Counter(d.fault.name for d in decoded if d.fault is not None)
    judged = verdicts(crystals, train, workers)
    formulas = Counter(reduced_formula(c.numbers) for c in crystals)
    groups = Counter(space_group(c) for c in crystals)
    report: dict[str, Any] = {
        "attempts": n,
        "denominator": "all attempts, those included that are no crystal",
        "matcher": {"ltol": DIFFCSP.ltol, "stol": DIFFCSP.stol, "angle_tol": DIFFCSP.angle_tol},
        "symprec": SYMPREC,
        "shares": {
            **{name: share(sum(column), n) for name, column in judged.items()},
            "unique formulas": share(len(formulas), n),
            "space group P1": share(groups["1 P1"], n),
        },
        "faults": {name: share(count, n) for name, count in faults.most_common()},
        "most_frequent_formulas": {f: share(count, n) for f, count in formulas.most_common(5)},
        "space_groups": {g: share(count, n) for g, count in groups.most_common(10)},
    }
    if crystals:
        report["means_over_parsed"] = {
            "atoms": round(float(np.mean([len(c) for c in crystals])), 3),
            "elements": round(float(np.mean([n_elements(c) for c in crystals])), 3),
        }
    valid = judged["valid (structure, smact14)"]
    if reference is not None and any(valid):
        known = read_reference(reference)
        chosen = [c for c, good in zip(crystals, valid, strict=True) if good]
        # CDVAE compares valid crystals only; both are given, for dropping the others may flatter.
        report["wasserstein"] = {
            "of_valid": distances(chosen, known),
            "of_parsed": distances(crystals, known),
        }
    return report


def show(report: dict[str, Any]) -> None:
    """Print the shares to stdout."""
    table = Table("of all attempts", "count", "share", "95% interval")
    for name, row in {**report["shares"], **report["faults"]}.items():
        low, high = row["interval_95"]
        table.add_row(name, f"{row['count']:,}", f"{row['share']:.1%}", f"{low:.1%} to {high:.1%}")
    Console().print(table)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--train", type=Path, required=True, help="store of the training data")
    parser.add_argument("--reference", type=Path, help="Parquet file with a column cif")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--workers", type=int, default=1, help="processes for matching")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        report = measure(options.run, options.train, options.reference, options.workers)
        report |= {"seconds": round(time.monotonic() - started, 1), **origin(arguments)}
        options.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
