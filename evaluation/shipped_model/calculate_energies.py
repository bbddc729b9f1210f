"""Calculate a potential's energies of crystals as they are, not relaxed, into a file.

    python -m evaluation.shipped_model.calculate_energies shipped mpts52_val.csv.gz \
        extra_le20.parquet --most 20 --potential FOLDER --out energies.jsonl

A line for each crystal: its digest, and its energy in eV/atom with MP2020 corrections, null where
the potential gives none. `shipped` is the training set in the package; anything else is read as
`crystext` reads it. Killed at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from crystext.data.shipped import TRAINING_SET, read_shipped_set, shipped_set
from crystext.errors import CrystextError
from crystext.io.read import read_crystals
from crystext.runtime.processes import run_tasks
from crystext.runtime.run_folder import JsonLines
from crystext.structures.crystal import Crystal
from evaluation.result_file import progress
from evaluation.shipped_model.select_low_energy import AT_ONCE, energies_maker


def _energy(line: Any) -> tuple[str, float | None]:
    energy = line["energy_ev_per_atom"]
    return str(line["crystal"]), None if energy is None else float(energy)


def energy_file(path: Path) -> JsonLines[tuple[str, float | None]]:
    """Return the file: digests and energies in eV/atom."""
    return JsonLines(path, _energy, "a JSON object with crystal and energy_ev_per_atom")


def crystals_of(source: str) -> Iterator[Crystal]:
    """Yield the crystals of a source; what cannot be read is left out."""
    if source == TRAINING_SET:
        yield from (x.require_crystal() for x in read_shipped_set(shipped_set(source)))
    else:
        yield from (x.crystal for x in read_crystals(Path(source)) if x.crystal is not None)


def calculate(crystals: Mapping[str, Crystal], potential: str, workers: int, out: Path) -> None:
    """Append the energies of crystals that the file lacks, in their order.

    Args:
        crystals: by digest.
        potential: of the energies.
        workers: processes.
        out: the file.
    """
    file = energy_file(out)
    done = {digest for digest, _ in file}
    file.cut_torn_line()
    left = [digest for digest in crystals if digest not in done]
    report = progress("calculating")
    parts = [tuple(left[i : i + AT_ONCE]) for i in range(0, len(left), AT_ONCE)]
    tasks = ((part, [crystals[digest] for digest in part]) for part in parts)
    count = 0
    with file.appending() as append:
        for part, found in run_tasks(partial(energies_maker, potential), tasks, workers):
            whole = found or [math.nan] * len(part)
            append(_line(d, e / len(crystals[d])) for d, e in zip(part, whole, strict=True))
            count += len(part)
            report(count, len(left))


def _line(digest: str, energy: float) -> str:
    known = round(energy, 6) if math.isfinite(energy) else None
    return json.dumps({"crystal": digest, "energy_ev_per_atom": known}) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="+", help="shipped, or sources of crystals")
    parser.add_argument("--most", type=int, default=20, help="atoms of a crystal")
    parser.add_argument("--potential", default="m3gnet")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        crystals = {
            crystal.digest(): crystal
            for source in given.sources
            for crystal in crystals_of(source)
            if len(crystal) <= given.most
        }
        calculate(crystals, given.potential, given.workers, given.out)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
