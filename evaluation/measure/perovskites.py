"""Measure what a fine-tune on Perov-5 changed: samples drawn before it and after it.

    crystext sample --n 1000 --out before
    crystext sample --n 3000 --model finetuned --out after
    python -m evaluation.measure.perovskites --before before --after after --n 1000 \
        --reference perov5_heat_ref.json.zip --where split=test --training perov5 \
        --out perovskites.json

Shares divide by all attempts. Coverage has CDVAE's cutoffs for Perov-5, 0.2 and 4. Where the second
run has more than --n attempts, the n least alike of all its crystals are measured as well, as
`crystext evaluate --diverse` chooses them. With a training store, as many of its crystals, chosen
with a seed, are measured like draws: what a generator can reach that draws as the data does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crystext.data.store import read_store
from crystext.evaluate.samples import read_samples
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.coverage import COVERAGE_CUTOFFS, CoverageResult, coverage
from crystext.metrics.diverse_subset import diverse_subset
from crystext.metrics.matminer.fingerprints import fingerprints
from crystext.metrics.structure_validity import is_structure_valid
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from evaluation.result_file import Report, progress, rounded, share, write_result
from evaluation.sources import read_records


def measure(
    run: Path, reference: Sequence[Crystal], cache: Path | None, workers: int, n: int | None
) -> Report:
    """Return validity and coverage of one run."""
    crystals, attempts = drawn(run, n)
    return measure_crystals(crystals, attempts, reference, cache, workers)


def drawn(run: Path, n: int | None) -> tuple[list[Crystal], int]:
    """Return the crystals among the first n attempts of a run, and how many attempts there are."""
    attempts = read_samples(run, n).samples
    return [x.crystal for x in attempts if x.crystal is not None], len(attempts)


def measure_crystals(
    crystals: Sequence[Crystal],
    attempts: int,
    reference: Sequence[Crystal],
    cache: Path | None,
    workers: int,
) -> Report:
    """Return validity and coverage of the crystals among so many attempts."""
    structures = [is_structure_valid(c) for c in crystals]
    compositions = [is_composition_valid(c.numbers, table="smact14") for c in crystals]
    covered = coverage_of(crystals, attempts, reference, cache, workers)
    formulas = {reduced_formula(c.numbers) for c in crystals}
    shares = {
        "structurally valid": sum(structures),
        "composition valid, smact14": sum(compositions),
        "valid (structure, smact14)": sum(
            s and c for s, c in zip(structures, compositions, strict=True)
        ),
        "five atoms": sum(len(c) == 5 for c in crystals),
        "unique formulas": len(formulas),
    }
    rows = {name: share(count, attempts) for name, count in shares.items()}
    return covered | {"shares": rows | covered["shares"]}


def coverage_of(
    crystals: Sequence[Crystal],
    attempts: int,
    reference: Sequence[Crystal],
    cache: Path | None,
    workers: int,
) -> Report:
    """Return the coverage of a reference by the crystals among so many attempts."""
    limits = COVERAGE_CUTOFFS["perov5"]
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
        **as_rows(coverage(made, known, limits, n_samples=attempts)),
    }


def as_rows(found: CoverageResult) -> Report:
    """Return coverage as it stands in a result file."""
    shares = {
        "recall": found.recall,
        "precision, of all attempts": found.precision_of_all,
        "precision, of those with a fingerprint": found.precision_of_fingerprinted,
    }
    return {
        "shares": {name: share(s.count, s.total) for name, s in shares.items() if s is not None},
        "mean_distances": {
            "amsd_recall": rounded(found.amsd_recall),
            "amsd_precision": rounded(found.amsd_precision),
            "amcd_recall": rounded(found.amcd_recall),
            "amcd_precision": rounded(found.amcd_precision),
        },
    }


def some_of(store: Path, n: int) -> list[Crystal]:
    """Return n crystals of the training split of a store, chosen with a seed."""
    data = read_store(store, "train")
    chosen = np.random.default_rng(0).choice(len(data), n, replace=False)
    return [data[i].crystal for i in chosen.tolist()]


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, metavar="RUN_DIR")
    parser.add_argument("--after", type=Path, required=True, metavar="RUN_DIR")
    parser.add_argument("--reference", type=Path, required=True, help="Perov-5")
    parser.add_argument("--where", help="COLUMN=VALUE of the reference's rows, e.g. split=test")
    parser.add_argument("--training", type=Path, help="store of Perov-5")
    parser.add_argument("--n", type=int, help="attempts, from the first; all without it")
    parser.add_argument("--cache", type=Path, help="folder for fingerprints")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        reference = [x.crystal for x in read_records(options.reference, options.where)]
        found = {
            name: measure(run, reference, options.cache, options.workers, options.n)
            for name, run in (("before", options.before), ("after", options.after))
        }
        crystals, attempts = drawn(options.after, None)
        if options.n is not None and attempts > options.n:
            cache = options.cache and options.cache / "drawn.npz"
            known = fingerprints(crystals, cache=cache, workers=options.workers)
            chosen = [crystals[i] for i in diverse_subset(known, options.n)]
            found[f"after, least alike of {attempts} attempts"] = measure_crystals(
                chosen, options.n, reference, options.cache, options.workers
            )
        if options.training is not None:
            n = found["after"]["attempts"]
            found["training split"] = measure_crystals(
                some_of(options.training, n), n, reference, options.cache, options.workers
            )
        return found

    data = [options.before, options.after, options.reference, options.training]
    return write_result(
        options.out,
        measured,
        script=__file__,
        arguments=arguments,
        packages=("smact", "scipy"),
        data=[path for path in data if path is not None],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
