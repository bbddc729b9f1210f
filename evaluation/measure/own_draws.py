"""Measure how many samples match one of the model's own samples that it was trained on.

    python -m evaluation.measure.own_draws run report mp2019_own --out own_draws.json

Such a crystal is new to the data, and not to the model. `report` is an evaluation of `run` with
the stages novelty and stability; `mp2019_own` is a store to which
`evaluation.shipped_model.add_self_generated` has added samples.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crystext.data.store import read_store
from crystext.errors import InputError
from crystext.evaluate.samples import read_samples
from crystext.metrics.novelty import find_matches
from evaluation.result_file import Report, progress, share, write_result


def measure(given: argparse.Namespace) -> Report:
    """Return the shares of what is new to the data, and of that what the model was taught."""
    drawn = [attempt.crystal for attempt in read_samples(given.run).samples]
    table = given.report / "structures.parquet"
    try:
        columns = pq.read_table(table).to_pydict()
    except pa.ArrowException as error:
        raise InputError(f"{table} is not a table of crystext evaluate: {error}") from None
    if "energy_asked" in columns:  # of crystext 0.1
        columns["energy_requested"] = columns.pop("energy_asked")
    missing = {"novel", "unique", "metastable", "energy_requested"} - columns.keys()
    if missing or len(columns["novel"]) != len(drawn):
        raise InputError(
            f"{given.report} does not report novelty and stability of all of {given.run}"
        )
    data = read_store(given.store, "train")
    crystals = {i: crystal for i, crystal in enumerate(drawn) if crystal is not None}
    rows = find_matches(
        list(crystals.values()), data, workers=given.workers, report=progress("comparing")
    )
    own = {
        i
        for i, row in zip(crystals, rows, strict=True)
        if row is not None and data.names[row].as_py().startswith("own-") and columns["novel"][i]
    }
    relaxed = [i for i, asked in enumerate(columns["energy_requested"]) if asked]
    wanted = [columns[name] for name in ("metastable", "unique", "novel")]
    found = {i for i in relaxed if all(column[i] is True for column in wanted)}
    new = {i for i in crystals if columns["novel"][i] is True}
    low = {i for i in relaxed if columns["metastable"][i] is True}
    return {
        "own_draws_taught": sum(name.startswith("own-") for name in data.names.to_pylist()),
        "shares": {
            "not in the training data": share(len(new), len(drawn)),
            "and not like its own draws either": share(len(new - own), len(drawn)),
            "metastable, unique and not in the training data": share(len(found), len(relaxed)),
            "and metastable, unique and not like its own draws": share(
                len(found - own), len(relaxed)
            ),
            "metastable, of those not in the training data": share(
                len(low & new), len(new & set(relaxed))
            ),
            "metastable, of those not like its own draws either": share(
                len(low & (new - own)), len((new - own) & set(relaxed))
            ),
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of crystext sample")
    parser.add_argument("report", type=Path, help="folder of crystext evaluate")
    parser.add_argument("store", type=Path, help="folder that add_self_generated wrote")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        data=[given.run, given.store],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
