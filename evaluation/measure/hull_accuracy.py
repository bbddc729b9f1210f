"""Measure a hull: published labels, phases that are missing from it, speed.

    python -m evaluation.measure.hull_accuracy --labels mp20_test.parquet mp20_val.parquet \
        --draws energies.csv --out mp2020_hull_accuracy.json

`labels`: the energy above the hull that follows from a formation energy of Materials Project, minus
the published one. The table of `mp2020` holds these labels, so this is the agreement of the table
with itself, and no test on unseen compounds; `mp2020_hull.json` (build_mp2020_hull.py) has one.

`one_phase_hidden`: compounds on the hull are hidden one at a time, and it is measured how far below
the hull of all others each lies: how deep a crystal can seem to lie because one phase is missing.
By how many other compounds of exactly the same elements the hull has.

`draws`: of samples that were relaxed, what the hull knows of the crystals below it and near it: the
`energies.csv` of `crystext hull`, or JSON lines with formula and e_above_hull_ev_per_atom.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula
from crystext.energies.decomposition import lowest_mixtures
from crystext.energies.hull import Hull, HullPosition
from crystext.energies.hull_sources import DEFAULT_HULL, open_hull
from crystext.energies.stability import classify_position
from evaluation.result_file import Report, rounded, write_result

GROUPS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, None))
"""Numbers of other compounds of exactly the same elements."""


def numbers_of(formula: str) -> dict[int, int]:
    """Return counts by atomic number."""
    return {ATOMIC_NUMBERS[symbol]: n for symbol, n in parse_formula(formula).items()}


def of_labels(path: Path, hull: Hull) -> Report:
    """Return how far energies above the hull are from the published ones."""
    columns = ("pretty_formula", "formation_energy_per_atom", "e_above_hull")
    table = pq.read_table(path, columns=list(columns)).to_pydict()
    formulas, formation, published = (table[name] for name in columns)
    started = time.perf_counter()
    mixtures = lowest_mixtures([numbers_of(f) for f in formulas], hull.compounds)
    seconds = time.perf_counter() - started
    found = np.array(formation) - np.array([mixture.energy for mixture in mixtures])
    errors = found - np.array(published)
    return {
        "crystals": len(errors),
        "mean_absolute_ev_per_atom": rounded(float(np.abs(errors).mean())),
        "median_absolute_ev_per_atom": rounded(float(np.median(np.abs(errors)))),
        "mean_ev_per_atom": rounded(float(errors.mean())),
        "within_0.001": rounded(float((np.abs(errors) <= 0.001).mean())),
        "within_0.01": rounded(float((np.abs(errors) <= 0.01).mean())),
        "largest_ev_per_atom": rounded(float(np.abs(errors).max())),
        "published_below_0.1": rounded(float((np.array(published) < 0.1).mean())),
        "found_below_0.1": rounded(float((found < 0.1).mean())),
        "seconds_for_the_hull": rounded(seconds, 2),
    }


def with_one_hidden(hull: Hull, sample: int, seed: int) -> Report:
    """Return how far below the hull of all others its own phases lie, in eV/atom."""
    compounds = hull.compounds
    rng = np.random.default_rng(seed)
    phases = rng.permutation(np.flatnonzero(~compounds.height_only & (compounds.energies < 0)))
    depths: list[tuple[int, float]] = []
    for i in range(0, len(phases), 500):
        chosen = phases[i : i + 500].tolist()
        compositions = [
            {ATOMIC_NUMBERS[s]: n for s, n in compounds.composition(p).items()} for p in chosen
        ]
        heights = lowest_mixtures(compositions, compounds, chosen)
        for p, composition, height in zip(chosen, compositions, heights, strict=True):
            depth = height.energy - float(compounds.energies[p])
            # What lies above the others is not on the hull.
            if depth > 0:
                depths.append((len(compounds.with_exactly(composition)) - 1, depth))
        if len(depths) >= sample:
            break
    depths = depths[:sample]
    groups = {"all": [depth for _, depth in depths]}
    for low, high in GROUPS:
        name = f"{low}" if high == low else f"{low} or more" if high is None else f"{low} to {high}"
        groups[name] = [d for n, d in depths if n >= low and (high is None or n <= high)]
    return {
        name: {
            "phases": len(values),
            "mean": rounded(float(np.mean(values))),
            "median": rounded(float(np.median(values))),
            "90%": rounded(float(np.quantile(values, 0.9))),
            "99%": rounded(float(np.quantile(values, 0.99))),
        }
        for name, values in groups.items()
        if values
    }


def energies_of(path: Path) -> Iterator[tuple[str, float | None]]:
    """Yield formula and energy above the hull in eV/atom, None where a sample has none."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file)
        for row in rows:
            above = row.get("e_above_hull_ev_per_atom")
            yield row.get("formula", ""), None if above in (None, "") else float(above)


def of_draws(path: Path, hull: Hull) -> Report:
    """Return what the hull knows of crystals that a model drew."""
    counts: Counter[tuple[str, str]] = Counter()
    verdicts: Counter[str] = Counter()
    for formula, above in energies_of(path):
        if above is None:
            verdicts["without an energy above the hull"] += 1
            continue
        phases = hull.phases_at(parse_formula(formula))
        assert phases is not None
        verdicts[classify_position(HullPosition(None, above, (), phases)).label] += 1
        side = "below 0" if above < 0 else "0 to 0.1" if above < 0.1 else "0.1 or more"
        counts[side, phases.evidence.label] += 1
    sides = sorted({side for side, _ in counts})
    return {
        "evidence_by_ev_per_atom_above_the_hull": {
            side: {word: n for (s, word), n in sorted(counts.items()) if s == side}
            for side in sides
        },
        "verdicts": dict(verdicts),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hull", default=DEFAULT_HULL, help="as of `crystext hull`")
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--draws", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=5000, help="phases that are hidden")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)

    def measured() -> Report:
        open_hull(given.hull)
        started = time.perf_counter()
        hull = open_hull(given.hull)
        opened = time.perf_counter() - started
        return {
            "hull": hull.summary(),
            "seconds_to_open_again": rounded(opened, 3),
            "labels": {path.name: of_labels(path, hull) for path in given.labels},
            "one_phase_hidden_ev_per_atom": with_one_hidden(hull, given.sample, given.seed),
            "draws": of_draws(given.draws, hull),
        }

    return write_result(
        given.out,
        measured,
        script=__file__,
        arguments=arguments,
        packages=("scipy", "pyarrow"),
        data=[*given.labels, given.draws],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
