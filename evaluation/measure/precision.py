"""How many decimals a text needs for crystals to keep their space group.

    python -m evaluation.measure.precision mp20_test.parquet
    python -m evaluation.measure.precision mp20_test.parquet --formats plain --out plain

Each crystal is written twice: as it stands, where atoms on special positions often have short
decimals, and shifted by a random translation, as training texts and generated ones are. For each
precision: the share of crystals whose space group, found by spglib on decode(encode(x)), is that of
x at the same tolerance; and the root mean square displacement of atoms in Å. Both are over all
crystals; a text that does not decode counts as a lost space group. The reference is spglib on x,
not the file's column, whose agreement with it is reported beside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TypedDict

import numpy as np

from crystext.structures.augment import translate
from crystext.structures.crystal import Crystal
from crystext.text import COORDINATE_FORMATS, decode, encode
from crystext.text.coordinates import CoordinateFormat
from evaluation.result_file import Report, write_result
from evaluation.sources import check_against_pymatgen, crystal_of_p1_cif

TOLERANCES = (0.1, 0.01)

TABLE = [
    *COORDINATE_FORMATS,
    CoordinateFormat("lengths 2, angles 0, coordinates 3", 2, 0, 3, title="a trial"),
    CoordinateFormat("lengths 2, angles 1, coordinates 3", 2, 1, 3, title="a trial"),
    CoordinateFormat("lengths 3, angles 2, coordinates 3", 3, 2, 3, title="a trial"),
    CoordinateFormat("lengths 2, angles 2, coordinates 4", 2, 2, 4, title="a trial"),
    CoordinateFormat("lengths 3, angles 2, coordinates 4", 3, 2, 4, title="a trial"),
]


class Row(TypedDict):
    """What became of one crystal."""

    reference: list[int]
    kept: list[list[bool]]
    """By precision: at each tolerance, as it stands and then shifted."""
    squared_displacement: list[float | None]
    """By precision, shifted, in Å^2; None where the text does not decode."""


def space_group(crystal: Crystal, tolerance: float) -> int:
    """Return the space-group number that spglib finds; 0 where it finds none."""
    import spglib

    cell = (crystal.lattice, crystal.positions, crystal.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    return 0 if found is None else int(found.number)


def squared_displacement(before: Crystal, after: Crystal) -> float:
    """Return the mean squared displacement of the atoms in Å^2, in the cell as it was before."""
    shift = after.positions - before.in_text_order().positions
    shift -= np.round(shift)
    return float(((shift @ before.lattice) ** 2).sum(axis=1).mean())


def measure(index: int, cif: str, formats: list[CoordinateFormat]) -> Row:
    """Send one crystal through all precisions."""
    crystal = crystal_of_p1_cif(cif)
    shifted = translate(crystal, np.random.default_rng(index))
    reference = [space_group(crystal, t) for t in TOLERANCES]
    kept: list[list[bool]] = []
    displacements: list[float | None] = []
    for fmt in formats:
        read = decode(encode(crystal, fmt)).crystal
        read_shifted = decode(encode(shifted, fmt)).crystal
        kept.append(
            [
                found is not None and space_group(found, t) == expected
                for found in (read, read_shifted)
                for t, expected in zip(TOLERANCES, reference, strict=True)
            ]
        )
        displacements.append(
            None if read_shifted is None else squared_displacement(shifted, read_shifted)
        )
    return Row(reference=reference, kept=kept, squared_displacement=displacements)


def measure_all(options: argparse.Namespace, formats: Sequence[CoordinateFormat]) -> Report:
    """Send the crystals through every precision; print the table and return it."""
    import pyarrow.parquet as pq

    table = pq.read_table(options.data, columns=["cif", "spacegroup.number"])
    cifs: list[str] = table["cif"].to_pylist()
    listed: list[int] = table["spacegroup.number"].to_pylist()
    if options.limit:
        step = max(1, len(cifs) // options.limit)
        cifs, listed = cifs[::step][: options.limit], listed[::step][: options.limit]
    sample = cifs[:: max(1, len(cifs) // 100)]
    check_against_pymatgen(sample, [crystal_of_p1_cif(cif) for cif in sample])
    if options.workers > 1:
        with ProcessPoolExecutor(options.workers) as pool:
            rows = list(pool.map(measure, range(len(cifs)), cifs, repeat(formats), chunksize=50))
    else:
        rows = [measure(i, cif, formats) for i, cif in enumerate(cifs)]

    agree = np.mean([row["reference"][0] == x for row, x in zip(rows, listed, strict=True)])
    result: dict[str, dict[str, float | int]] = {}
    print(f"{len(rows)} crystals; spglib at 0.1 finds the listed space group of {agree:.2%}")
    print("share that keeps its space group at symprec, as it stands and shifted; RMS in Å")
    print(
        f"{'precision':36} {'0.1':>8} {'0.01':>8} {'0.1 sh.':>8} {'0.01 sh.':>8} {'RMS':>8} unread"
    )
    for i, fmt in enumerate(formats):
        shares = np.mean([row["kept"][i] for row in rows], axis=0).tolist()
        squares = [x for row in rows if (x := row["squared_displacement"][i]) is not None]
        rms = float(np.sqrt(np.mean(squares)))
        unread = len(rows) - len(squares)
        result[fmt.name] = {
            "kept_at_symprec_0.1": shares[0],
            "kept_at_symprec_0.01": shares[1],
            "kept_when_shifted_at_symprec_0.1": shares[2],
            "kept_when_shifted_at_symprec_0.01": shares[3],
            "rms_displacement_angstrom": rms,
            "unread": unread,
        }
        percents = " ".join(f"{share:8.2%}" for share in shares)
        print(f"{fmt.name:36} {percents} {rms:8.5f} {unread:6}")
    return {
        "crystals": len(rows),
        "spglib_agrees_with_listed_space_group_at_0.1": float(agree),
        "precisions": result,
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="Parquet file with cif and spacegroup.number")
    parser.add_argument("--limit", type=int, help="measure every k-th crystal, this many in all")
    parser.add_argument("--formats", nargs="+", help="names of the precisions to measure; else all")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    formats = [f for f in TABLE if not options.formats or f.name in options.formats]
    if not formats:
        parser.error(f"none of the precisions has that name: {', '.join(f.name for f in TABLE)}")
    return write_result(
        options.out,
        lambda: measure_all(options, formats),
        script=__file__,
        arguments=arguments,
        packages=("spglib",),
        data=[options.data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
