"""Measure what a run of `crystext sample` drew.

    python evaluation/benchmarks/sample_quality.py RUN_DIR --train STORE \
        --reference mp20_test.parquet --out evaluation/results/shipped_quality.json

Every share divides by all attempts, those included that are no crystal. RUN_DIR/attempts.jsonl
holds one JSON object per attempt, with at least `index`, `text` and `fault`. `--train` is a store
made by `crystext data prepare`, of which the training split counts; `--reference` is any source of
crystals, whose distributions of density and number of elements they are compared with. `--join`
takes in the results of coverage.py, stability.py and others, so that one file tells all of a run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reports import origin, publish, read_attempts, read_reference, share

from crystext.chemistry.oxidation import OXIDATION_TABLES
from crystext.data.store import read_store
from crystext.errors import InputError
from crystext.evaluate.protocol import load_protocol
from crystext.evaluate.stages.validity import check_validity
from crystext.metrics.distributions import wasserstein
from crystext.metrics.novelty import find_matches
from crystext.metrics.uniqueness import duplicates_of
from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, reduce_for_matching
from crystext.structures.properties import reduced_formula, space_group_symbols
from crystext.structures.space_groups import SYMPREC, find_space_group

RULES = load_protocol("mp20").validity


def verdicts(crystals: Sequence[Crystal], train: Path, workers: int) -> dict[str, list[bool]]:
    """Return what every metric says of each crystal."""
    duplicates = duplicates_of(crystals, workers=workers)
    matches = find_matches(crystals, read_store(train, "train"), workers=workers)
    judged = [check_validity(c, RULES) for c in crystals]
    compositions = {
        f"composition valid, {table}{'' if alloys else ', no alloy shortcut'}": [
            verdict.composition_valid[table, alloys] for verdict in judged
        ]
        for table in OXIDATION_TABLES
        for alloys in (True, False)
    }
    structures = [verdict.structure_valid for verdict in judged]
    both = _all(structures, compositions["composition valid, smact14"])
    unique = [earlier is None for earlier in duplicates]
    novel = [row is None for row in matches]
    return {
        "parsed": [True] * len(crystals),
        "structurally valid": structures,
        "structurally valid, self-images included": [v.structure_fault is None for v in judged],
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
    number = find_space_group(crystal, SYMPREC)
    return "none found" if number is None else f"{number} {space_group_symbols()[number]}"


def joined(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the shares and figures of other benchmarks' results, by their names."""
    rows: dict[str, Any] = {}
    for path in paths:
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            rows[path.stem] = {
                key: result[key] for key in (*_JOINED, "command", "commit") if key in result
            }
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} is no result of a benchmark: {error}") from None
    return rows


_JOINED = ("attempts", "shares", "mean_distances", "potential", "hull")
"""What of another benchmark's result goes into this one."""


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def measure(run: Path, train: Path, reference: Path | None, workers: int) -> dict[str, Any]:
    """Return the report of one run."""
    decoded = read_attempts(run / "attempts.jsonl")
    n = len(decoded)
    crystals = [d.crystal for d in decoded if d.crystal is not None]
    faults = Counter(d.failure.name for d in decoded if d.failure is not None)
    judged = verdicts(crystals, train, workers)
    formulas = Counter(reduced_formula(c.numbers) for c in crystals)
    groups = Counter(space_group(c) for c in crystals)
    report: dict[str, Any] = {
        "attempts": n,
        "denominator": "all attempts, those included that are no crystal",
        "matcher": {
            "ltol": DIFFCSP_TOLERANCES.ltol,
            "stol": DIFFCSP_TOLERANCES.stol,
            "angle_tol": DIFFCSP_TOLERANCES.angle_tol,
        },
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
            "elements": round(float(np.mean([len(set(c.symbols)) for c in crystals])), 3),
        }
    valid = judged["valid (structure, smact14)"]
    if reference is not None and any(valid):
        known = read_reference(reference)
        chosen = [c for c, good in zip(crystals, valid, strict=True) if good]
        # CDVAE compares valid crystals only; both are given, for dropping the others may flatter.
        report["wasserstein"] = {
            "of_valid": _rounded(wasserstein(chosen, known)),
            "of_parsed": _rounded(wasserstein(crystals, known)),
        }
    return report


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--train", type=Path, required=True, help="prepared training data")
    parser.add_argument("--reference", type=Path, help="Parquet file with a column cif")
    parser.add_argument("--join", type=Path, nargs="*", default=[], help="JSON files to take in")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--workers", type=int, default=1, help="processes for matching")
    options = parser.parse_args(arguments)

    def measured() -> dict[str, Any]:
        report = measure(options.run, options.train, options.reference, options.workers)
        return report | ({"joined": joined(options.join)} if options.join else {})

    made = origin(__file__, arguments, ("smact", "spglib", "scipy"))
    return publish(options.out, measured, made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
