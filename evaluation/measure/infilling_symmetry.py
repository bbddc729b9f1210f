"""Hide the coordinates of an orbit, and see whether completion in the space group finds them.

    python -m evaluation.measure.infilling_symmetry mp20_val.parquet --n 100 --out FILE

Of each crystal, in its standard description, an orbit drawn uniformly has unknown coordinates; the
cell, the elements, the other atoms and the number of the space group (spglib, 0.1 Å) are given, as
to `crystext infill --space-group`. The first completion, and any of so many, is compared with the
crystal by pymatgen's matcher with its own tolerances. A crystal whose group is refused counts as
not found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crystext.errors import InputError
from crystext.generation.infilling.complete import Infiller
from crystext.generation.infilling.specify import InfillSpec
from crystext.inference.types import SamplingSettings
from crystext.io.read.partial_structures import partial_structure_of
from crystext.models.load import load_model
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import find_symmetry, standardize
from evaluation.result_file import Report, progress, share, write_result
from evaluation.sources import read_records


def hide_orbit(crystal: Crystal, rng: np.random.Generator) -> tuple[list[int], int]:
    """Return the sites of an orbit drawn uniformly, and the number of the space group."""
    found = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, SYMPREC)
    orbits = np.asarray(found.crystallographic_orbits)
    chosen = rng.choice(np.unique(orbits))
    return np.flatnonzero(orbits == chosen).tolist(), int(found.number)


def measured(table: Path, n: int, completions: int, seed: int, source: str) -> Report:
    """Complete the crystals; return how many are found again, and the time."""
    rng = np.random.default_rng(seed)
    records = read_records(table)
    filler = Infiller(load_model(source), SamplingSettings(seed=seed))
    matcher = PYMATGEN_TOLERANCES.matcher()
    report, started = progress("crystals"), time.process_time()
    first = anywhere = refused = 0
    for done, i in enumerate(rng.choice(len(records), n, replace=False).tolist(), start=1):
        crystal, _ = standardize(records[i].crystal)
        sites, number = hide_orbit(crystal, rng)
        asked = InfillSpec(coordinates=sites)
        try:
            run = filler.infill(
                partial_structure_of(crystal), asked, completions, space_group=number
            )
        except InputError:
            refused += 1
            continue
        original = reduce_for_matching(crystal)
        same = [
            is_same(matcher, reduce_for_matching(result.crystal), original)
            for result in run.results
        ]
        first += bool(same[:1] == [True])
        anywhere += any(same)
        report(done, n)
    return {
        "table": table.name,
        "crystals": n,
        "completions": completions,
        "shares": {
            "found first": share(first, n),
            "found at all": share(anywhere, n),
            "refused": share(refused, n),
        },
        "processor_seconds_per_crystal": round((time.process_time() - started) / n, 2),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path, metavar="TABLE")
    parser.add_argument("--n", type=int, default=100, help="crystals")
    parser.add_argument("--completions", type=int, default=20, help="of each crystal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="shipped", help="`shipped`, or a model folder")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measured(
            options.table, options.n, options.completions, options.seed, options.model
        ),
        script=__file__,
        arguments=arguments,
        packages=("torch", "spglib", "pymatgen"),
        model=options.model,
        data=[options.table],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
