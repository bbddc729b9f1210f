"""Evaluate one run against the sets that ship and against the tables they were made from.

    python evaluation/benchmarks/shipped_sets.py RUN --test mp20_test.parquet \
        --train mp2019_le20.parquet --out FILE

Every figure of the stages that use a set stands side by side, with the difference. Of the training
table the rows count whose column `matches_heldout` is false, as in `evaluation/reference_sets.py`.
The seconds of a first evaluation, in which nothing is in the cache, are given for each.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports import Report, origin, publish

from crystext.data.catalogue import CACHE_VARIABLE
from crystext.data.shipped import TRAINING
from crystext.evaluate.run import evaluate
from crystext.evaluate.stages.base import Options

STAGES = ("validity", "novelty", "coverage", "distributions")


def measure(run: Path, test: Path, train: Path, workers: int) -> Report:
    """Evaluate twice, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "train.parquet")
        _write_training(train, kept)
        from_tables, slow = _figures(run, str(test), str(kept), workers)
        from_shipped, fast = _figures(run, None, TRAINING, workers)
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
    run: Path, reference: str | None, train: str, workers: int
) -> tuple[dict[str, float | None], float]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = str(Path(folder, "cache"))
        started = time.monotonic()
        report = evaluate(
            run, "mp20", Path(folder, "report"), only=STAGES, workers=workers,
            options=Options(reference=reference, training=train),
        )  # fmt: skip
        seconds = round(time.monotonic() - started, 1)
    for name, note in report.stages.items():
        assert note.state == "done", f"{name}: {note.note}"
    # A reference's own diversity is in a note, and nothing that a set decides on.
    return {f"{x.stage}.{x.name}": x.value for x in report.figures}, seconds


def _write_training(table: Path, out: Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found: Any = pq.read_table(table, columns=["id", "cif", "matches_heldout"])
    pq.write_table(found.filter(pc.invert(found["matches_heldout"])), out)


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
    made = origin(__file__, arguments, ("spglib", "scipy"))
    return publish(asked.out, lambda: measure(asked.run, asked.test, asked.train, asked.workers),
                   made)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
