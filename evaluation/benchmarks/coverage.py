"""Measure how much of a reference set a run of `crystext sample` covers, and how precisely.

    python evaluation/benchmarks/coverage.py RUN_DIR --reference mp20_test.parquet --cutoffs mp20 \
        --cache fingerprints --workers 2 --out evaluation/results/shipped_coverage.json

Fingerprints are kept in `--cache`, a folder, by crystal: those of the reference are computed once.
`--n` takes the first so many attempts only; recall grows with their number, so it is stated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reports import Report, origin, progress, publish, read_attempts, read_reference, rounded, share

from crystext.metrics.coverage import (
    COVERAGE_CUTOFFS,
    CoverageCutoffs,
    CoverageResult,
    coverage,
    coverage_cutoffs,
)
from crystext.metrics.matminer.fingerprints import fingerprints
from crystext.structures.crystal import Crystal


def measure(
    crystals: Sequence[Crystal],
    attempts: int,
    reference: Sequence[Crystal],
    limits: CoverageCutoffs,
    cache: Path | None,
    workers: int,
) -> Report:
    """Return the coverage of a reference by the crystals among so many attempts."""
    known = fingerprints(
        reference,
        cache=cache and cache / "reference.npz",
        workers=workers,
        report=progress("reference"),
    )
    made = fingerprints(
        crystals, cache=cache and cache / "drawn.npz", workers=workers, report=progress("drawn")
    )
    return {
        "attempts": attempts,
        "reference_crystals": len(reference),
        "cutoffs": {"structure": limits.structure, "composition": limits.composition},
        "without_fingerprint": {
            "no crystal": attempts - len(crystals),
            "crystals": int((~made.is_complete).sum()),
            "reference": int((~known.is_complete).sum()),
        },
        **as_rows(coverage(made, known, limits, attempts=attempts)),
    }


def as_rows(found: CoverageResult) -> Report:
    """Return coverage as it stands in a report."""
    shares = {
        "recall": found.recall,
        "precision, of all attempts": found.precision_of_all,
        "precision, of those with a fingerprint": found.precision_of_fingerprinted,
    }
    return {
        "shares": {name: share(s.count, s.of) for name, s in shares.items() if s is not None},
        "mean_distances": {
            "amsd_recall": rounded(found.amsd_recall),
            "amsd_precision": rounded(found.amsd_precision),
            "amcd_recall": rounded(found.amcd_recall),
            "amcd_precision": rounded(found.amcd_precision),
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--reference", type=Path, required=True, help="crystals to cover")
    parser.add_argument("--where", help="COLUMN=VALUE of the reference's rows, e.g. split=test")
    parser.add_argument("--cutoffs", default="mp20", help=", ".join(COVERAGE_CUTOFFS))
    parser.add_argument("--n", type=int, help="attempts, from the first; all without it")
    parser.add_argument("--cache", type=Path, help="folder for fingerprints")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        limits = coverage_cutoffs(options.cutoffs)
        decoded = read_attempts(options.run / "attempts.jsonl", options.n)
        crystals = [d.crystal for d in decoded if d.crystal is not None]
        reference = read_reference(options.reference, options.where)
        return measure(crystals, len(decoded), reference, limits, options.cache, options.workers)

    return publish(options.out, measured, origin(__file__, arguments, ("scipy",)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
