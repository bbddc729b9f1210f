"""Write crystals by their symmetry, read them back, and see whether they are the same crystals.

    python -m evaluation.measure.symmetry_round_trip mp_20_test.parquet --out FILE

A crystal came back if it has the same space group at symprec 0.1, the same number of atoms of each
element, and matches under pymatgen's StructureMatcher as it comes, primitive cells compared. What
did not come back is listed with the reason.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import find_space_group
from crystext.text import WYCKOFF, decode, encode
from evaluation.result_file import Report, progress, rounded, share, write_result
from evaluation.sources import read_records


class Outcome(NamedTuple):
    """What became of one crystal."""

    reason: str
    """Why it did not come back; empty if it did."""
    displacement: float = 0.0
    """Root mean square, over the atoms, as StructureMatcher has it: over (volume / atoms)^(1/3)."""
    words: int = 0
    """Of the text."""


def round_trip(crystal: Crystal) -> Outcome:
    """Send a crystal through the text."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    try:
        text = encode(crystal, WYCKOFF)
    except InputError as error:
        return Outcome(f"not written: {error}")
    decoded = decode(text, format=WYCKOFF)
    if decoded.crystal is None:
        assert decoded.failure is not None
        return Outcome(f"not read: {decoded.failure.name}")
    fits = StructureMatcher().get_rms_dist(crystal.structure, decoded.crystal.structure)
    if fits is None:
        return Outcome("no match")
    before, after = (find_space_group(x) for x in (crystal, decoded.crystal))
    if before != after:
        return Outcome(f"space group {before} became {after}", fits[0])
    return Outcome("", fits[0], len(text.split()))


def measure(table: Path, n: int | None, workers: int) -> Report:
    """Send the crystals of a table through the text; return what came back."""
    crystals = [record.crystal for record in read_records(table)][:n]
    said, found = progress("crystals"), []
    with ProcessPoolExecutor(workers, initializer=_quiet) as pool:
        for outcome in pool.map(round_trip, crystals, chunksize=20):
            found.append(outcome)
            said(len(found), len(crystals))
    same = [outcome for outcome in found if not outcome.reason]
    moved = np.array([outcome.displacement for outcome in same])
    return {
        "table": table.name,
        "shares": {"came_back": share(len(same), len(found))},
        "normalised_displacement": {"mean": rounded(moved.mean()), "most": rounded(moved.max())},
        "mean_words": rounded(np.mean([outcome.words for outcome in same])),
        "lost": [
            {"row": i, "formula": reduced_formula(crystals[i].numbers), "reason": outcome.reason}
            for i, outcome in enumerate(found)
            if outcome.reason
        ],
    }


def _quiet() -> None:
    warnings.simplefilter("ignore")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path, help="crystals")
    parser.add_argument("--n", type=int, help="the first so many")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(arguments)
    return write_result(
        asked.out,
        lambda: measure(asked.table, asked.n, asked.workers),
        script=__file__,
        arguments=arguments,
        packages=("spglib",),
        data=[asked.table],
    )


if __name__ == "__main__":
    sys.exit(main())
