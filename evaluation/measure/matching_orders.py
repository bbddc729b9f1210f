"""Count the pairs of real crystals that pymatgen's StructureMatcher fits in one order only.

    python -m evaluation.measure.matching_orders --out FILE

Pairs are all of one reduced formula and one number of atoms in MP-20 test, as it ships, reduced as
for every match of this package. `crystext.structures.matching` takes two crystals as one if either
order fits; `either_way` counts these, and `both_ways` what `StructureMatcher.fit(...,
symmetric=True)` counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    PYMATGEN_TOLERANCES,
    MatchTolerances,
    group_by_formula,
    is_same,
    reduce_for_matching,
)
from crystext.structures.properties import reduced_formula
from evaluation.result_file import Report, progress, write_result


def measure() -> Report:
    """Ask about every pair in both orders."""
    crystals = [record.crystal for record in read_shipped_set(shipped_set("mp20_test"))]
    groups = [g for g in group_by_formula(c.numbers for c in crystals).values() if len(g) > 1]
    reduced = {i: reduce_for_matching(crystals[i]) for group in groups for i in group}
    pairs = [
        (i, j)
        for group in groups
        for i, j in combinations(group, 2)
        if reduced[i] is not None and reduced[j] is not None and len(reduced[i]) == len(reduced[j])
    ]
    found: Report = {"set": "mp20_test", "pairs": len(pairs)}
    for name, tolerances in (("diffcsp", DIFFCSP_TOLERANCES), ("pymatgen", PYMATGEN_TOLERANCES)):
        found[name] = _count(pairs, reduced, crystals, tolerances)
    return found


def _count(
    pairs: list[tuple[int, int]], reduced: Any, crystals: Any, tolerances: MatchTolerances
) -> Report:
    matcher, said = tolerances.matcher(), progress(f"ltol {tolerances.ltol:g}")
    one_way, both = [], 0
    for done, (i, j) in enumerate(pairs, start=1):
        fits = [
            bool(matcher.fit(reduced[a], reduced[b], skip_structure_reduction=True))
            for a, b in ((i, j), (j, i))
        ]
        assert any(fits) == is_same(matcher, reduced[i], reduced[j])
        assert any(fits) == is_same(matcher, reduced[j], reduced[i])
        both += all(fits)
        if fits[0] != fits[1]:
            one_way.append([i, j, reduced_formula(crystals[i].numbers)])
        said(done, len(pairs))
    return {"either_way": both + len(one_way), "both_ways": both, "one_way_only": one_way}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(arguments)
    return write_result(asked.out, measure, script=__file__, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
