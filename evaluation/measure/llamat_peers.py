"""Measure the crystals that LLaMat-2 generated for the formulas of MP-20 test.

    python -m evaluation.measure.llamat_peers llamat2_9046_parsed.csv.gz mp20_test.parquet \
        --out evaluation/results/independent_of_weights/llamat_peers.json

The file is that of the authors' public repository: a row for each crystal of MP-20 test, in its
order, broken answers included; which conditions each request had besides the formula it does not
say. The authors published how often the formula is right, over all rows, where a crystal counts
whose CIF pymatgen read; that step of theirs left out 832 rows, with CIFs that are not in the file.
Here a crystal counts that is structurally valid (no two atoms within 0.5 Å), and, apart from that,
any that can be read. Whether the space group is right was never measured: it is spglib's at 0.1 Å.
The format rounds to 0.1 Å and 0.01 of the cell, so the test crystals themselves, printed likewise,
give the ceiling.
"""

from __future__ import annotations

import argparse
import ast
import csv
import gzip
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula, reduce_counts
from crystext.errors import InputError
from crystext.evaluate.published import read_published_table
from crystext.instruct.printed import Writer
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import is_structure_valid
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system
from crystext.structures.space_groups import find_space_group
from evaluation.result_file import ROOT, Report, progress, share, write_result
from evaluation.sources import crystal_of_p1_cif

PUBLISHED = ROOT / "evaluation" / "reference" / "conditional" / "llamat.yaml"
SYSTEM = "LLaMat-2"
FORMAT = "gruver2024-rounded"
"""Decimals of the generated texts."""

MAX_DIFFERENCE = 0.005
"""Of the proportion of right formulas over all rows, from the published one."""


class Generated(NamedTuple):
    """A row of the file beside the test crystal it was generated for."""

    crystal: Crystal | None
    reason: str
    """Why there is no crystal."""
    formula: dict[str, int]
    """Requested, reduced."""
    space_group: int
    """Of the test crystal."""


def read_rows(path: Path, table: Path) -> list[Generated]:
    """Read the generated crystals with the formulas and space groups of the test crystals."""
    columns = ["pretty_formula", "spacegroup.number"]
    targets = pq.read_table(table, columns=columns).to_pylist()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(targets):
        raise InputError(
            f"{path} has {len(rows):,} rows and {table} {len(targets):,}; expected one for each"
        )
    return [
        Generated(
            *_crystal(row),
            reduce_counts(parse_formula(target["pretty_formula"])),
            int(target["spacegroup.number"]),
        )
        for row, target in zip(rows, targets, strict=True)
    ]


def _crystal(row: dict[str, str]) -> tuple[Crystal | None, str]:
    """Return the crystal of a row, or why there is none."""
    lengths, angles, symbols, positions = (
        ast.literal_eval(row[name]) for name in ("lengths", "angles", "species", "coords")
    )
    if not (len(lengths) == len(angles) == 3 and symbols and len(symbols) == len(positions)):
        return None, "broken"
    if any(symbol not in ATOMIC_NUMBERS for symbol in symbols):
        return None, "unknown element"
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    return Crystal(np.array(lengths), np.array(angles), numbers, np.array(positions)), ""


def measured(path: Path, table: Path) -> Report:
    """Return the proportions over all rows, and those of each crystal system."""
    rows = read_rows(path, table)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    report = progress("rows")
    for i, row in enumerate(rows, start=1):
        for name in _satisfied(row):
            for system in ("all", crystal_system(row.space_group)):
                counts[system][name] += 1
        report(i, len(rows))
    names = list(counts["all"])
    published = _published()
    systems = [x for x in published if counts[x]["rows"]]
    differences = {
        name: round(
            counts[system]["right formula, structurally valid"] / counts[system]["rows"]
            - published[name],
            4,
        )
        for name, system in [("formula", "all"), *((x, x) for x in systems)]
    }
    return {
        "rows": len(rows),
        "not_read": dict(Counter(row.reason for row in rows if row.crystal is None)),
        "shares": {x: share(counts["all"][x], len(rows)) for x in names if x != "rows"},
        "by_crystal_system": {
            system: {
                "rows": counts[system]["rows"],
                **{
                    x: share(counts[system][x], counts[system]["rows"])
                    for x in names
                    if x != "rows"
                },
            }
            for system in systems
        },
        "published": published,
        "difference_from_published": differences,
        "ceiling": _ceiling(table),
    }


def _satisfied(row: Generated) -> list[str]:
    """Return what a row counts for."""
    crystal = row.crystal
    if crystal is None:
        return ["rows"]
    counts = reduce_counts(Counter(crystal.symbols))
    is_valid = is_structure_valid(crystal)
    is_right = counts == row.formula
    # A crystal without volume has no symmetry.
    group = find_space_group(crystal) if crystal.volume > 0 else None
    has_group = group == row.space_group
    has_system = group is not None and crystal_system(group) == crystal_system(row.space_group)
    satisfied = {
        "rows": True,
        "read": True,
        "structurally valid": is_valid,
        "composition valid (SMACT14)": is_composition_valid(crystal.numbers),
        "right elements": counts.keys() == row.formula.keys(),
        "right formula": is_right,
        "right formula, structurally valid": is_right and is_valid,
        "right crystal system": has_system,
        "right space group": has_group,
        "right formula and space group, structurally valid": is_right and is_valid and has_group,
    }
    return [name for name, value in satisfied.items() if value]


def _published() -> dict[str, float]:
    rows = read_published_table(PUBLISHED).rows
    return next(dict(row.values) for row in rows if row.system == SYSTEM)


def _ceiling(table: Path) -> Report:
    """Return how often the test crystals keep their space group in the decimals of the texts."""
    writer, right, printed = Writer(FORMAT), 0, 0
    rows = pq.read_table(table, columns=["cif", "spacegroup.number"]).to_pylist()
    for row in rows:
        try:
            crystal = writer.print_text(crystal_of_p1_cif(row["cif"])).crystal
        except InputError:
            continue
        printed += 1
        right += find_space_group(crystal) == row["spacegroup.number"]
    return {
        "format": FORMAT,
        "printed": printed,
        "right space group of test crystals as printed": share(right, len(rows)),
    }


def misses(report: Report) -> bool:
    """Tell whether the formulas over all rows are not as often right as published."""
    difference = report["difference_from_published"]["formula"]
    return bool(abs(difference) > MAX_DIFFERENCE)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=Path, metavar="ROWS", help="llamat2_9046_parsed.csv.gz")
    parser.add_argument("table", type=Path, metavar="TABLE", help="MP-20 test")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measured(options.rows, options.table),
        script=__file__,
        arguments=arguments,
        packages=("spglib", "smact"),
        data=[options.rows, options.table, PUBLISHED],
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
