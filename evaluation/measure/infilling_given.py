"""Replace an element of crystals, and see whether everything else is as it was given.

    python -m evaluation.measure.infilling_given mp20_val.parquet --n 1000 --out FILE

Of each crystal the element of an atom drawn uniformly is unknown at all its sites; the first five
elements that the model ranks are taken. What is given, lengths, angles, coordinates and the other
elements, is compared to the bit, and so is which sites are said to have changed. One crystal holds
N, Na and Ni, whose symbols begin alike. Last, one crystal is completed by as many draws as there
are crystals, coordinates of one element unknown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crystext.generation.infilling.complete import Infiller
from crystext.generation.infilling.specify import InfillSpec
from crystext.io.read.partial_structures import partial_structure_of
from crystext.models.load import load_model
from crystext.structures.crystal import Crystal
from evaluation.result_file import Report, share, write_result
from evaluation.sources import read_records

_ALIKE = Crystal(
    np.array([4.1, 4.2, 7.3]),
    np.array([90.0, 90.0, 90.0]),
    np.array([7, 11, 28, 7]),
    np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.25], [0.0, 0.5, 0.5], [0.5, 0.0, 0.75]]),
)
"""N, Na, Ni, N."""


def is_untouched(before: Crystal, after: Crystal, masked: int) -> bool:
    """Tell whether all but the masked element's sites is equal to the bit."""
    kept = before.numbers != masked
    return (
        np.array_equal(before.lengths, after.lengths)
        and np.array_equal(before.angles, after.angles)
        and np.array_equal(before.positions, after.positions)
        and np.array_equal(before.numbers[kept], after.numbers[kept])
        and len(set(after.numbers[~kept].tolist())) == 1
    )


def measured(table: Path, n: int, seed: int, source: str) -> Report:
    """Complete the crystals; return what was left as given, and how long it took."""
    rng = np.random.default_rng(seed)
    records = read_records(table)
    chosen = [_ALIKE, *(records[i].crystal for i in rng.choice(len(records), n - 1, replace=False))]
    masked = [int(rng.choice(crystal.numbers)) for crystal in chosen]
    filler = Infiller(load_model(source))
    asked = [
        (
            partial_structure_of(crystal),
            InfillSpec({crystal.symbols[crystal.numbers.tolist().index(z)]: "?"}),
        )
        for crystal, z in zip(chosen, masked, strict=True)
    ]
    started = time.perf_counter()
    infillings = filler.infill_all(asked, 5)
    ranked = time.perf_counter() - started
    untouched = wrong = proposals = 0
    for crystal, z, infilling in zip(chosen, masked, infillings, strict=True):
        for proposal in infilling.results:
            proposals += 1
            untouched += is_untouched(crystal, proposal.crystal, z)
            wrong += sum(
                int(crystal.numbers[change.site]) != z
                for change in proposal.changes
                if change.site is not None
            )
    started = time.perf_counter()
    blanks = InfillSpec({}, coordinates=(crystal_symbol(chosen[1]),))
    drawn = filler.infill(partial_structure_of(chosen[1]), blanks, n)
    seconds = time.perf_counter() - started
    return {
        "table": table.name,
        "crystals": len(chosen),
        "shares": {"given parts equal to the bit": share(untouched, proposals)},
        "sites_wrongly_touched": wrong,
        "seconds_to_rank": round(ranked, 1),
        "draws_for_one_crystal": n,
        "proposals_of_them": len(drawn.results),
        "seconds_to_draw": round(seconds, 1),
    }


def crystal_symbol(crystal: Crystal) -> str:
    """Return the symbol of a crystal's first atom."""
    return crystal.symbols[0]


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path, metavar="TABLE")
    parser.add_argument("--n", type=int, default=1000, help="crystals, and draws of one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="shipped", help="`shipped`, or a model folder")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measured(options.table, options.n, options.seed, options.model),
        script=__file__,
        arguments=arguments,
        packages=("torch",),
        model=options.model,
        data=[options.table],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
