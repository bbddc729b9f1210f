"""Write the hull that comes with the package: hull points on the MP2020 scale, in a compact file.

    python -m evaluation.shipped_model.build_mp2020_hull hull --labels mp20_train92.parquet \
        mp20_val.parquet mp20_test.parquet mpts52_val.csv.gz \
        --out crystext/energies/mp2020_hull.parquet --report mp2020_hull.json

The folder `hull` holds one `hull_points_*.parquet` (reduced_formula, e_form_per_atom_hull_point in
eV/atom, src) and one `*elemental-reference-entries.json.gz`, as `open_hull` reads them. Tables of
labels (a formula or a CIF, and e_above_hull or energy_above_hull) say of which compositions the
lowest phase lies on the hull: at the others the point is the height of the hull, not the energy of
a phase, and is written as such.

The hull's own error, which is written into the file, is measured where it can be: at compositions
whose label gives the height of the hull but no phase that makes it, the label is hidden and the
height computed from all other points. `--sample` of them are drawn.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula
from crystext.energies.compact_hull import read_compact_hull, write_compact_hull
from crystext.energies.decomposition import lowest_mixtures
from crystext.energies.hull import Hull
from crystext.energies.hull_folder import read_hull_folder
from crystext.errors import InputError
from crystext.runtime.files import file_digest
from evaluation.result_file import Report, rounded, write_result

ON_HULL = 1e-6
"""eV/atom; a phase that is no higher above it lies on the hull."""

_FORMULAS, _ABOVE = ("reduced_formula", "pretty_formula"), ("e_above_hull", "energy_above_hull")
_SUM = re.compile(r"^_chemical_formula_sum\s+'?([^'\n]+)'?", re.MULTILINE)


def labels_of(path: Path) -> Iterator[tuple[dict[int, int], float]]:
    """Yield the composition and energy above the hull of each row of a table that has one."""
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    above = next((name for name in _ABOVE if name in table), None)
    formula = next((name for name in _FORMULAS if name in table), None)
    if above is None or (formula is None and "cif" not in table):
        raise InputError(f"{path} has no column {' or '.join(_ABOVE)}, or no formula and no cif")
    texts = table[formula] if formula else table["cif"].str.extract(_SUM, expand=False)
    for text, value in zip(texts, table[above], strict=True):
        if value == value:
            counts = parse_formula(text)
            yield {ATOMIC_NUMBERS[symbol]: n for symbol, n in counts.items()}, float(value)


def made(given: argparse.Namespace) -> Report:
    """Write the file, and return what is in it."""
    read = read_hull_folder(given.hull)
    lowest: dict[int, float] = {}
    for path in given.labels:
        for composition, above in labels_of(path):
            index = read.compounds.find(composition)
            if index is not None:
                lowest[index] = min(above, lowest.get(index, np.inf))
    (points,) = given.hull.glob("hull_points_*.parquet")
    sources = Counter(pq.read_table(points, columns=["src"])["src"].to_pylist())
    above_hull = np.array([i for i, above in lowest.items() if above > ON_HULL], dtype=np.int64)
    height_only = np.zeros(len(read.compounds), dtype=np.bool_)
    height_only[above_hull] = True
    hull = replace(
        read, name=given.name, compounds=replace(read.compounds, height_only=height_only)
    )
    hidden = errors_where_hidden(hull, above_hull, given.sample, given.seed)
    error = float(np.abs(hidden).mean())
    write_compact_hull(replace(hull, error=round(error, 4)), given.out)
    written = read_compact_hull(given.out)
    return {
        "hull": written.name,
        "hull_date": written.date,
        "compositions": pq.read_metadata(points).num_rows,
        "compounds": len(written.compounds),
        "elements": len(written.references),
        "compositions_by_source": dict(sources),
        "compounds_whose_lowest_phase_is_labelled": len(lowest),
        "of_them_on_the_hull": len(lowest) - len(above_hull),
        "height_only": int(written.compounds.height_only.sum()),
        "error_where_the_label_is_hidden_ev_per_atom": {
            "compounds": len(hidden),
            "mean_absolute": rounded(error),
            "median_absolute": rounded(float(np.median(np.abs(hidden)))),
            "mean": rounded(float(hidden.mean())),
        },
        "bytes": given.out.stat().st_size,
        "sha256": {
            path.name: file_digest(path)
            for path in (*sorted(given.hull.glob("*")), *given.labels, given.out)
            if path.name in (*read.sources, given.out.name) or path in given.labels
        },
    }


def errors_where_hidden(hull: Hull, chosen: np.ndarray, sample: int, seed: int) -> np.ndarray:
    """Return the height of the hull without a point, minus the point, in eV/atom, for some."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(chosen, min(sample, len(chosen)), replace=False).tolist()
    compounds = hull.compounds
    compositions = [
        {ATOMIC_NUMBERS[s]: n for s, n in compounds.composition(i).items()} for i in drawn
    ]
    mixtures = lowest_mixtures(compositions, compounds, drawn)
    return np.array([mixture.energy for mixture in mixtures]) - compounds.energies[drawn]


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("hull", type=Path, help="folder of hull points and elemental references")
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--name", default="mp2020")
    parser.add_argument("--sample", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.report,
        lambda: made(given),
        script=__file__,
        arguments=arguments,
        packages=("pyarrow",),
        data=[given.hull, *given.labels],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
