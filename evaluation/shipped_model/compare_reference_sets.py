"""Evaluate one run against the sets that ship and against the tables they were made from.

    python -m evaluation.shipped_model.compare_reference_sets RUN --test mp20_test.parquet \
        --train mp2019_le20.parquet --out FILE

Every figure of the stages that use a set stands side by side, with the difference. Of the training
table the rows count whose column `matches_heldout` is false, as in `build_reference_sets.py`.
The processor seconds of a first evaluation, with nothing in the cache, are given for each; with the
tables they include neither the reading of the CIFs nor, of the second, the draws' own fingerprints.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from crystext.data.shipped import TRAINING_SET
from crystext.data.store import write_store
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.runtime.files import CACHE_VARIABLE
from crystext.structures.record import Record
from evaluation.result_file import Report, write_result
from evaluation.sources import crystal_of_p1_cif

STAGES = ("validity", "novelty", "coverage", "distributions")


def measure(run: Path, test: Path, train: Path, workers: int) -> Report:
    """Evaluate twice, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        report, reference, training = (Path(folder, x) for x in ("report", "test", "train"))
        _write_store(test, reference, "test")
        _write_store(train, training, "train")
        # Into one folder, so that the draws' own fingerprints are computed once.
        from_tables, slow = _figures(run, str(reference), str(training), report, workers)
        from_shipped, fast = _figures(run, None, TRAINING_SET, report, workers)
    rows: Report = {}
    for name, value in from_tables.items():
        other = from_shipped[name]
        apart = None if value is None or other is None else round(abs(value - other), 6)
        rows[name] = {"tables": value, "shipped": other, "apart": apart}
    compared = {name: row["apart"] for name, row in rows.items() if row["apart"] is not None}
    worst = max(compared, key=lambda name: compared[name])
    return {
        "run": run.name,
        "largest_difference": {"figure": worst, "apart": compared[worst]},
        "figures": rows,
        "seconds_from_tables": slow,
        "seconds_from_shipped": fast,
    }


def _figures(
    run: Path, reference: str | None, train: str, out: Path, workers: int
) -> tuple[dict[str, float | None], float]:
    with tempfile.TemporaryDirectory() as cache:
        os.environ[CACHE_VARIABLE] = cache
        started = time.process_time()
        report = evaluate_samples(
            run, "mp20", out, only=STAGES, workers=workers,
            options=EvaluationOptions(reference=reference, training=train),
        )  # fmt: skip
        seconds = round(time.process_time() - started, 1)
    for name, note in report.stages.items():
        assert note.state == "done", f"{name}: {note.note}"
    # A reference's own diversity is in a note, and nothing that a set decides on.
    return {f"{x.stage}.{x.name}": x.value for x in report.metrics}, seconds


def _write_store(table: Path, out: Path, split: str) -> None:
    """Write the crystals of a table as they are, those that are held out left out."""
    import pandas as pd

    found = pd.read_parquet(table)
    if "matches_heldout" in found:
        found = found[~found.matches_heldout]
    write_store(out, {split: [Record(crystal_of_p1_cif(cif)) for cif in found.cif]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of `crystext sample`")
    parser.add_argument("--test", type=Path, required=True, help="MP-20 test as published")
    parser.add_argument("--train", type=Path, required=True, help="training crystals")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(arguments)
    return write_result(
        asked.out,
        lambda: measure(asked.run, asked.test, asked.train, asked.workers),
        script=__file__,
        arguments=arguments,
        packages=("spglib", "scipy"),
        data=[asked.run, asked.test, asked.train],
    )


if __name__ == "__main__":
    sys.exit(main())
