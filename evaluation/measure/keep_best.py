"""Measure what keeping the best samples brings: by energy, by likelihood, and as they come.

    crystext sample --n 3000 --out draws
    crystext relax draws --n 1000 --potential POTENTIAL --out relaxed
    crystext hull relaxed --out energies.csv
    python -m evaluation.measure.keep_best draws --keep 1000 --energies energies.csv \
        --work /tmp/keep-best --out evaluation/results/YYYY-MM-DD_weights-DIGEST7/keep_best.json

Of the same samples are compared: the first --keep, the best --keep by energy and by likelihood as
`crystext sample --keep-best` chooses them, and the best by energy without the rules against
repetition. Shares are over those that were kept. Energies are read from tables of `crystext hull`
by the names of samples, which are their indices; as which of the first thousand samples are kept
depends on the score alone, those with an energy are a fair part of what was kept.

The folder of --work holds the evaluation of all samples and what was chosen: the same command
continues after an interruption.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from crystext.evaluate.reference_prototypes import reference_prototypes
from crystext.evaluate.reference_sets import open_reference_set, specify_reference_set
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.samples import read_samples
from crystext.generation.selected_file import read_selected
from crystext.generation.selection import SelectionRule
from crystext.metrics.contact_distances import CLOSE_CONTACTS
from crystext.metrics.space_group_distribution import space_group_counts, total_variation
from crystext.metrics.uniqueness import duplicates_of
from crystext.predict.choose_samples import ENERGY, choose_in_run
from crystext.predict.rank_by_property import shipped_ranking
from crystext.structures.crystal import Crystal
from evaluation.result_file import Report, progress, rounded, share, write_result

STAGES = ("validity", "geometry", "novelty")
LIMITS = (0.0, 0.1)
"""Limits of the energy above the hull, in eV/atom."""


@dataclass(frozen=True)
class Samples:
    """All samples with what was measured of each."""

    crystals: Sequence[Crystal | None]
    columns: Mapping[str, Sequence[Any]]
    """Of `structures.parquet`."""
    expected: Sequence[float]
    """Predicted energies above the hull, nan for failures."""
    energies: Mapping[int, float]
    """Energies above the hull in eV/atom by index; nan where a relaxation failed."""
    reference: Counter[int]
    """Space groups of the reference."""


def measure(given: argparse.Namespace) -> Report:
    """Return the figures of each way to keep some of the samples."""
    samples = measure_all(given)
    n = len(samples.crystals)
    chosen: dict[str, Sequence[int]] = {"as sampled": range(given.keep)}
    left_out: dict[str, Report] = {}
    for by in ("energy", "likelihood"):
        folder = given.work / by
        if not folder.exists():
            shutil.copytree(given.run, folder, ignore=shutil.ignore_patterns("cif", "lock"))
        rule = SelectionRule(given.keep, n, by)
        summary = choose_in_run(
            folder, rule, n, workers=given.workers, report=progress(f"compared, by {by}")
        )
        chosen[by] = [line["index"] for line in read_selected(folder)]
        left_out[by] = summary.model_dump(include={"prototype_limit", "left_out"})
    best = np.argsort(samples.expected, kind="stable")[: given.keep]
    chosen["energy, repetition allowed"] = sorted(best.tolist())
    return {
        "of": n,
        "keep": given.keep,
        **{
            name: figures(samples, indices, given.workers) | left_out.get(name, {})
            for name, indices in chosen.items()
        },
    }


def measure_all(given: argparse.Namespace) -> Samples:
    """Return all samples with their measured columns, from the folder of --work if it has them."""
    report = given.work / "report"
    progress_of = cache(progress)
    evaluate_samples(
        given.run,
        "mp20",
        report,
        only=STAGES,
        workers=given.workers,
        all_attempts=True,
        progress=lambda title, done, whole: progress_of(title)(done, whole),
    )
    records = read_samples(given.run, all_attempts=True).samples
    reference = open_reference_set(specify_reference_set("mp20_test", "test"))
    return Samples(
        [record.crystal for record in records],
        pq.read_table(report / "structures.parquet").to_pydict(),
        shipped_ranking(ENERGY)(records).values,
        read_energies(given.energies),
        space_group_counts(x.space_group for _, x in reference_prototypes(reference)),
    )


def read_energies(tables: Iterable[Path]) -> dict[int, float]:
    """Return the energies above the hull of tables of `crystext hull`, by index of the sample."""
    energies = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = row["e_above_hull_ev_per_atom"]
                energies[int(row["name"])] = float(value) if value else float("nan")
    return energies


def figures(samples: Samples, indices: Sequence[int], workers: int) -> Report:
    """Return the figures of some of the samples."""
    of = partial(_values, samples.columns, indices)
    crystals = [samples.crystals[i] for i in indices]
    known = [crystal for crystal in crystals if crystal is not None]
    unique = duplicates_of(known, workers=workers).count(None)
    labels = Counter(label for label in of("prototype") if label is not None)
    groups = space_group_counts(
        None if label is None else int(label.split()[0]) for label in of("prototype")
    )
    most, count = labels.most_common(1)[0] if labels else (None, 0)
    return {
        "samples": len(indices),
        "valid": _share(of("valid"), bool),
        "unique": share(unique, len(indices)),
        "novel": _share(of("novel"), bool),
        **{
            f"contact below {limit}": _share(of("contact_ratio"), lambda x, limit=limit: x < limit)
            for limit in CLOSE_CONTACTS
        },
        "formulas": len({formula for formula in of("formula") if formula is not None}),
        "prototypes": len(labels),
        "most frequent prototype": {"prototype": most, **share(count, len(indices))},
        "space_groups_total_variation": rounded(total_variation(groups, samples.reference)),
        "expected_energy_median_ev_per_atom": rounded(
            float(np.nanmedian([samples.expected[i] for i in indices]))
        ),
        **_of_energies([samples.energies[i] for i in indices if i in samples.energies]),
    }


def _values(columns: Mapping[str, Sequence[Any]], indices: Sequence[int], name: str) -> list[Any]:
    return [columns[name][i] for i in indices]


def _share(values: Sequence[Any], holds: Callable[[Any], bool]) -> Report:
    """Return the share of all values, of which a failure has None."""
    return share(sum(value is not None and bool(holds(value)) for value in values), len(values))


def _of_energies(energies: Sequence[float]) -> Report:
    if not energies:
        return {}
    finite = [energy for energy in energies if np.isfinite(energy)]
    return {
        "with_energy": len(energies),
        **{
            f"below {limit:g} eV/atom": share(sum(x < limit for x in finite), len(energies))
            for limit in LIMITS
        },
        "energy_median_ev_per_atom": rounded(float(np.median(finite)) if finite else None),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run of crystext sample, of the shipped model")
    parser.add_argument("--keep", type=int, required=True, help="number of samples to keep")
    parser.add_argument(
        "--energies", type=Path, action="append", default=[], help="table of crystext hull"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for what is measured")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        packages=("spglib", "torch"),
        model="shipped",
        data=[given.run, *given.energies],
    )


if __name__ == "__main__":
    sys.exit(main())
