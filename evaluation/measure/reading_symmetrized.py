"""Write crystals as CIFs with symmetry, read them, and see whether the same crystals come back.

    python -m evaluation.measure.reading_symmetrized mp20_test.parquet \
        --out reading_symmetrized.json

Every crystal is written in one setting of its space group drawn at random, with 3, 4 and 5
decimals, with the list of operations and without it; a third of them by pymatgen's
`CifWriter(symprec=0.01)` as well. A second sample, spread over all space groups, is written in
every setting that gemmi or spglib knows, in every form, and once more with digits cut off instead
of rounded.

A file is read as the crystal it was written from, is refused, or is read as another one. It is the
same if each atom of the cell lies where it was, to the printed precision; else if pymatgen's
StructureMatcher, under its own tolerances, finds it equal to the crystal of the table (`moved`).
Another crystal counts apart where the reader says so in a note. Without operations some forms say
less than a reader needs (a number alone names no origin): there, only another crystal without a
note is a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import gemmi
import numpy as np

from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.structures.crystal import Crystal, lengths_and_angles
from crystext.structures.record import UNREADABLE, Record
from evaluation.measure.symmetrized_cifs import (
    SYMPREC,
    WITH_OPERATIONS,
    WITHOUT_OPERATIONS,
    Cell,
    Layout,
    asymmetric_sites,
    in_setting,
    name_lines,
    settings,
    standardize,
    write_cif,
)
from evaluation.result_file import Report, write_result
from evaluation.sources import crystal_of_p1_cif

DECIMALS = (3, 4, 5)

OUTCOMES = (
    "same",
    "same, noted",
    "refused",
    "moved, noted",
    "another, noted",
    "moved",
    "another",
)
"""What can become of a file; the last two are faults."""

DECISIVE = (WITH_OPERATIONS, "H-M symbol with qualifier", "Hall symbol")
"""Forms that leave no choice: a refusal of these is listed."""

SHOWN = 200
"""Files that are no longer the same, at most, that the result lists."""


class Written(NamedTuple):
    """A file, and the cell that it describes."""

    row: int
    writer: str
    """`own` or `pymatgen`."""
    sample: str
    """`one setting`, `every setting`, `every setting, digits cut off`, or `pymatgen`."""
    setting: str
    layout: Layout
    text: str
    cell: Cell


def own_files(row: int, standard: Cell, every: bool, rng: np.random.Generator) -> Iterator[Written]:
    """Yield the files of one crystal that this benchmark's own writer makes."""
    groups = settings(standard.group.number)
    drawn = groups[int(rng.integers(len(groups)))]
    for group in groups if every else [drawn]:
        cell = in_setting(standard, group)
        sites = asymmetric_sites(cell, rng)
        sites = [sites[i] for i in rng.permutation(len(sites))]
        forms = [x for x in WITHOUT_OPERATIONS if name_lines(group, x, True)]
        chosen: list[tuple[str, str, int, bool]] = []
        if group is drawn:
            for decimals in DECIMALS:
                form = str(rng.choice(forms))
                chosen += [("one setting", x, decimals, False) for x in (WITH_OPERATIONS, form)]
        if every:
            for form in (WITH_OPERATIONS, *forms):
                chosen.append(("every setting", form, int(rng.choice(DECIMALS)), False))
            form = str(rng.choice([WITH_OPERATIONS, "H-M symbol with qualifier"]))
            cut = "every setting, digits cut off"
            chosen.append((cut, form, int(rng.choice(DECIMALS)), True))
        for sample, form, decimals, truncated in chosen:
            beside = names_beside(forms, rng)
            layout = Layout(
                decimals,
                form,
                truncated,
                beside if form == WITH_OPERATIONS else (),
                formula=bool(rng.random() < 0.5),
                types=bool(rng.random() < 0.8),
                multiplicities=bool(rng.random() < 0.3),
                modern=bool(rng.random() < 0.5),
            )
            text = write_cif(cell, sites, layout)
            yield Written(row, "own", sample, group.xhm(), layout, text, cell)


def names_beside(forms: list[str], rng: np.random.Generator) -> tuple[str, ...]:
    """Return how a file with operations names its setting besides: no data name twice."""
    symbols = [x for x in forms if "H-M" in x]
    numbers = [x for x in forms if "number" in x]
    beside = [str(rng.choice(x)) for x in (symbols, numbers) if rng.random() < 0.4]
    return (*beside, *(["Hall symbol"] if rng.random() < 0.4 else []))


def pymatgen_file(row: int, crystal: Crystal, rng: np.random.Generator) -> Written | None:
    """Return the file that pymatgen makes of a crystal; None where it can write none."""
    from pymatgen.io.cif import CifWriter
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    decimals = int(rng.choice([*DECIMALS, 8]))
    try:
        text = str(CifWriter(crystal.structure, symprec=SYMPREC, significant_figures=decimals))
        # What the writer takes the sites of.
        refined = SpacegroupAnalyzer(crystal.structure, symprec=SYMPREC).get_refined_structure()
    except (TypeError, ValueError):
        return None
    numbers, group = np.array(refined.atomic_numbers), gemmi.SpaceGroup("P 1")
    cell = Cell(group, refined.lattice.matrix, numbers, refined.frac_coords)
    return Written(
        row, "pymatgen", "pymatgen", "pymatgen's", Layout(decimals, WITH_OPERATIONS), text, cell
    )


def read(text: str, path: Path) -> Record:
    """Read a file as a user would."""
    path.write_text(text, encoding="utf-8")
    try:
        items = list(read_crystals(path))
    except InputError as error:
        return Record.failed(path.name, UNREADABLE, str(error))
    return (
        items[0] if len(items) == 1 else Record.failed(path.name, UNREADABLE, f"{len(items)} items")
    )


def is_in_place(crystal: Crystal, written: Written) -> bool:
    """Say whether a crystal has the cell and the atoms that were written, to their precision."""
    cell, unit = written.cell, max(10.0**-written.layout.decimals, 1e-5)
    if len(crystal.numbers) != len(cell.numbers):
        return False
    lengths, angles = lengths_and_angles(cell.vectors)
    if max(abs(crystal.lengths - lengths).max(), abs(crystal.angles - angles).max()) > 1.1 * unit:
        return False
    for z in set(cell.numbers.tolist()):
        found = crystal.positions[crystal.numbers == z]
        steps = found[:, None, :] - cell.positions[cell.numbers == z]
        far = np.abs(steps - np.round(steps)).max(axis=-1)
        if len(found) != far.shape[1]:
            return False
        # A coordinate is off by one unit at most, and an operation may add three of them.
        if max(far.min(axis=0).max(), far.min(axis=1).max()) > 4 * unit:
            return False
    return True


def outcome(item: Record, written: Written, original: Crystal) -> str:
    """Return which of `OUTCOMES` a file came to."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    if item.crystal is None:
        return "refused"
    noted = ", noted" if item.notes else ""
    if is_in_place(item.crystal, written):
        return f"same{noted}"
    fits = StructureMatcher(scale=False).fit(original.structure, item.crystal.structure)
    return f"{'moved' if fits else 'another'}{noted}"


def spread(groups: list[int], size: int, seed: int) -> set[int]:
    """Return indices of about so many crystals, spread over space groups as evenly as can be."""
    rows: dict[int, list[int]] = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(groups)).tolist():
        rows[groups[i]].append(i)
    chosen: list[int] = []
    for turn in range(len(groups)):
        chosen += [waiting[turn] for waiting in rows.values() if turn < len(waiting)]
        if len(chosen) >= size:
            break
    return set(chosen[:size])


def results_of_row(
    row: int,
    crystal: Crystal,
    every: bool,
    by_pymatgen: bool,
    seed: int,
    path: Path,
    failures: Path | None,
) -> dict[str, Any]:
    """Write, read and compare the files of one crystal; return counts and what went wrong."""
    rng = np.random.default_rng([seed, row])
    standard = standardize(crystal)
    files = [] if standard is None else list(own_files(row, standard, every, rng))
    if by_pymatgen and (written := pymatgen_file(row, crystal, rng)):
        files.append(written)
    counts: Counter[tuple[str, int, str, str]] = Counter()
    reasons: Counter[str] = Counter()
    shown = []
    for number, written in enumerate(files):
        item = read(written.text, path)
        result = outcome(item, written, crystal)
        counts[written.sample, written.layout.decimals, written.layout.form, result] += 1
        said = item.message if item.crystal is None else "; ".join(item.notes)
        if result == "refused":
            reasons[_general(said or "")] += 1
        if "same" not in result and (result != "refused" or written.layout.form in DECISIVE):
            shown.append(
                [row, number, written.setting, *written.layout[:2], result, (said or "")[-300:]]
            )
            if failures is not None:
                name = f"{result.replace(', ', '_')}-{row}-{number}.cif"
                (failures / name).write_text(written.text, encoding="utf-8")
    return {
        "row": row,
        "standardized": standard is not None,
        "settings": len({written.setting for written in files}),
        "counts": [[*key, n] for key, n in counts.items()],
        "reasons": dict(reasons),
        "shown": shown,
    }


def _general(reason: str) -> str:
    """Return a reason without what differs from file to file."""
    reason = reason.rpartition(".cif: ")[2]
    return re.sub(r"'[^']*'|[-+]?\d[\d.]*|\([^)]*\)", "…", reason)[:90]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of all rows, by sample, decimals and form."""
    table: dict[tuple[str, int, str], Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    for row in rows:
        for sample, decimals, form, result, n in row["counts"]:
            table[sample, decimals, form][result] += n
        reasons.update(row["reasons"])
    total: Counter[str] = Counter()
    for counts in table.values():
        total.update(counts)
    shown = [line for row in rows for line in row["shown"]]
    shown.sort(key=lambda line: -OUTCOMES.index(line[5]))
    return {
        "crystals": len(rows),
        "without_symmetry_by_spglib": sum(not row["standardized"] for row in rows),
        "files": sum(total.values()),
        "outcomes": {name: total[name] for name in OUTCOMES},
        "by_form": [
            {"sample": sample, "decimals": decimals, "form": form}
            | {name: counts[name] for name in OUTCOMES if counts[name]}
            for (sample, decimals, form), counts in sorted(table.items())
        ],
        "refused_because": dict(reasons.most_common(40)),
        "no_longer_the_same": [
            dict(
                zip(
                    ("row", "file", "setting", "decimals", "form", "outcome", "said"),
                    line,
                    strict=True,
                )
            )
            for line in shown[:SHOWN]
        ],
    }


def measure(options: argparse.Namespace) -> Report:
    """Write, read, compare; print the outcomes."""
    warnings.simplefilter("ignore")

    import pyarrow.parquet as pq

    columns = pq.read_table(options.data, columns=["cif", "spacegroup.number"])
    crystals = [crystal_of_p1_cif(cif) for cif in columns["cif"].to_pylist()]
    groups = columns["spacegroup.number"].to_pylist()
    n = min(options.n or len(crystals), len(crystals))
    rows = [int(i) for i in np.linspace(0, len(crystals) - 1, n)]
    every = {rows[i] for i in spread([groups[row] for row in rows], options.every, options.seed)}
    if options.failures:
        options.failures.mkdir(parents=True, exist_ok=True)
    done: dict[int, dict[str, Any]] = {}
    if options.checkpoint and options.checkpoint.is_file():
        lines = options.checkpoint.read_text(encoding="utf-8").splitlines()
        done = {row["row"]: row for row in map(json.loads, lines)}
    started, read_before = time.monotonic(), len(done)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crystal.cif"
        # In any order, so that what is done by then is a fair sample.
        for i in np.random.default_rng([options.seed, 1]).permutation(n).tolist():
            row = rows[i]
            if options.minutes and time.monotonic() - started > options.minutes * 60:
                break
            if row in done:
                continue
            by_pymatgen = options.pymatgen > 0 and i % max(1, round(n / options.pymatgen)) == 0
            done[row] = results_of_row(
                row, crystals[row], row in every, by_pymatgen, options.seed, path, options.failures
            )
            if options.checkpoint:
                with options.checkpoint.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(done[row]) + "\n")
            if len(done) % 200 == 0:
                print(f"{len(done)} of {n} crystals", file=sys.stderr)
    result = summary([done[row] for row in rows if row in done])
    minutes = (time.monotonic() - started) / 60
    result |= {"seed": options.seed, "crystals_in_every_setting": len(every & done.keys())}
    if not read_before:
        result["minutes"] = round(minutes, 1)
    print(json.dumps(result["outcomes"], indent=2))
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status: 1 for a silently other crystal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="Parquet file with a column cif, P1 CIFs")
    parser.add_argument("--n", type=int, help="so many crystals, spread over the table")
    parser.add_argument("--every", type=int, default=300, help="crystals in every setting")
    parser.add_argument("--pymatgen", type=int, default=3000, help="crystals that it writes, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, help="JSON lines to continue from")
    parser.add_argument("--minutes", type=float, help="to stop after, to be continued")
    parser.add_argument("--failures", type=Path, help="folder for files that became another")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measure(options),
        script=__file__,
        arguments=arguments,
        packages=("gemmi", "spglib"),
        data=[options.data],
        misses=lambda report: bool(report["outcomes"]["another"] or report["outcomes"]["moved"]),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
