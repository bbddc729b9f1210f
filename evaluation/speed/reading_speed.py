"""How long reading a CIF takes, beside the former reader and beside pymatgen.

    python -m evaluation.speed.reading_speed mp20_test.parquet --out reading_speed.json

P1 CIFs, as they stand in the table, are read by crystext and by the path that it took before
gemmi read CIFs, which is written out here: pymatgen's `CifParser`, with each site checked. The same
crystals as symmetrised CIFs (pymatgen's `CifWriter(symprec=0.01)`) are read by crystext and by
pymatgen's `Structure.from_str`. Both sides take turns file by file in one process, by its processor
time, so that a busy machine slows both alike; for each file the fastest turn counts.
"""

from __future__ import annotations

import argparse
import math
import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.io.read.parse import Piece, parse_piece
from crystext.structures.crystal import Crystal
from evaluation.result_file import Report, write_result
from evaluation.sources import crystal_of_p1_cif

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SITE = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")


def former_path(text: str) -> Crystal:
    """Read a CIF as crystext did before gemmi: parser, operations, every site checked, built."""
    from pymatgen.io.cif import CifBlock, CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser = CifParser.from_str(text, frac_tolerance=0.0, check_cif=False)
        block: dict[str, Any] = next(iter(parser.as_dict().values()), {})
        columns = {k: block[f"_atom_site_{k}"] for k in _SITE if f"_atom_site_{k}" in block}
        sites = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        operations = len(parser.get_symops(CifBlock(block, [], "")))
        for site in sites:
            letters = "".join(x for x in site.get("type_symbol", site["label"]) if x.isalpha())
            places = [float(site[f"fract_{axis}"].partition("(")[0]) for axis in "xyz"]
            occupancy = float(site.get("occupancy", "1").partition("(")[0])
            if letters.title() not in ATOMIC_NUMBERS or not all(map(math.isfinite, places)):
                raise ValueError(site)
            if occupancy < 1 - 1e-6:
                raise ValueError(site)
        if not all(f"_cell_{key}" in block for key in _CELL):
            raise ValueError("no cell")
        if operations > 1:
            parser = CifParser.from_str(text, check_cif=False)
        (structure,) = parser.parse_structures(primitive=False, on_error="raise")
    return Crystal.from_structure(structure)


def pymatgen(text: str) -> Any:
    """Read a CIF as users of pymatgen do."""
    from pymatgen.core.structure import Structure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_str(text, fmt="cif")


def ours(text: str) -> Crystal:
    """Read a CIF by crystext."""
    (item,) = parse_piece(Piece("crystal", "cif", text))
    if item.crystal is None:
        raise ValueError(item.message)
    return item.crystal


def seconds(
    texts: list[str], readers: list[Callable[[str], object]], turns: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the processor time of each reader and file, of its fastest turn; shape (R, N)."""
    best = np.full((len(readers), len(texts)), np.inf)
    for turn in range(turns):
        for i, text in enumerate(texts):
            order = range(len(readers)) if turn % 2 else reversed(range(len(readers)))
            for reader in order:
                started = time.process_time()
                readers[reader](text)
                spent = time.process_time() - started
                best[reader, i] = min(best[reader, i], spent)
    return best


def figures(best: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """Return milliseconds per file of both, and how many times as fast ours is."""
    mean = best.mean(axis=1) * 1000
    return {
        "crystext_ms": round(float(mean[0]), 3),
        "other_ms": round(float(mean[1]), 3),
        "times_as_fast": round(float(mean[1] / mean[0]), 2),
        "median_times_as_fast": round(float(np.median(best[1] / best[0])), 2),
        "share_of_files_read_faster": round(float((best[0] <= best[1]).mean()), 3),
    }


def measure(options: argparse.Namespace) -> Report:
    """Measure, and print."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")

    import pyarrow.parquet as pq
    from pymatgen.io.cif import CifWriter

    cifs: list[str] = pq.read_table(options.data, columns=["cif"])["cif"].to_pylist()
    cifs = [cifs[int(i)] for i in np.linspace(0, len(cifs) - 1, min(options.n, len(cifs)))]
    symmetrized = []
    for cif in cifs:
        text = str(CifWriter(crystal_of_p1_cif(cif).structure, symprec=0.01))
        symmetrized.append(text)
    refused = [text for text in symmetrized if _refuses(text)]
    symmetrized = [text for text in symmetrized if text not in refused]
    result: Report = {
        "p1_files": len(cifs),
        "p1_beside_the_former_path": figures(seconds(cifs, [ours, former_path], options.turns)),
        "symmetrized_files": len(symmetrized),
        "symmetrized_files_refused": len(refused),
        "symmetrized_beside_pymatgen": figures(
            seconds(symmetrized, [ours, pymatgen], options.turns)
        ),
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status: 1 where reading is slower than either."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="Parquet file with a column cif, P1 CIFs")
    parser.add_argument("--n", type=int, default=300, help="so many crystals, spread over it")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    bars = ("p1_beside_the_former_path", "symmetrized_beside_pymatgen")
    return write_result(
        options.out,
        lambda: measure(options),
        script=__file__,
        arguments=arguments,
        packages=("gemmi",),
        data=[options.data],
        misses=lambda report: any(report[bar]["times_as_fast"] < 1 for bar in bars),
    )


def _refuses(text: str) -> bool:
    try:
        ours(text)
    except ValueError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
