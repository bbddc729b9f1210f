"""Where measurements get their crystals from: samples, labelled tables, and P1 CIFs, quickly."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

_CELL = [f"_cell_{x}" for x in ("length_a", "length_b", "length_c")] + [
    f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")
]


def read_records(path: Path, where: str | None = None) -> list[Record]:
    """Read all structures of a source with their labels; refuse it if one is unreadable.

    Args:
        path: anything that `read_crystals` reads.
        where: `COLUMN=VALUE`, for tables.
    """
    column, _, value = (where or "").partition("=")
    records = []
    for item in read_crystals(path, where={column: value} if where else None):
        if item.crystal is None:
            raise InputError(f"{path}, {item.name}: {item.message}")
        records.append(Record(item.crystal, item.labels))
    return records


def crystal_of_p1_cif(cif: str) -> Crystal:
    """Read a CIF as pymatgen writes it without symmetry; no other CIF.

    Raises:
        ValueError: the CIF has symmetry operations, or no atoms where they are expected.
    """
    rows = [line.split() for line in cif.splitlines()]
    named = {row[0]: row[1] for row in rows if len(row) == 2}
    columns = [row[0] for row in rows if len(row) == 1 and row[0].startswith("_atom_site_")]
    atoms = [row for row in rows if len(row) == len(columns) and row[0] in ATOMIC_NUMBERS]
    operations = [line for line in cif.splitlines() if "'x, y, z'" in line or "'-x" in line]
    if len(operations) != 1 or not atoms:
        raise ValueError("no CIF of pymatgen's without symmetry")
    fractions = [columns.index(f"_atom_site_fract_{x}") for x in "xyz"]
    return Crystal(
        np.array([float(named[key]) for key in _CELL[:3]]),
        np.array([float(named[key]) for key in _CELL[3:]]),
        np.array([ATOMIC_NUMBERS[row[0]] for row in atoms]),
        np.array([[float(row[i]) for i in fractions] for row in atoms]),
    )


def check_against_pymatgen(cifs: list[str], crystals: list[Crystal]) -> None:
    """Stop unless pymatgen reads the same crystals from the CIFs."""
    from pymatgen.core.structure import Structure

    for cif, crystal in zip(cifs, crystals, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure = Structure.from_str(cif, fmt="cif")
        other = Crystal.from_structure(structure)
        shift = crystal.positions - other.positions
        # pymatgen snaps coordinates such as 0.33333333 to thirds when it reads a CIF.
        same = (
            crystal.numbers.tolist() == other.numbers.tolist()
            and np.allclose(crystal.lengths, other.lengths, atol=1e-6)
            and np.allclose(crystal.angles, other.angles, atol=1e-6)
            and np.abs(shift - np.round(shift)).max() < 1e-4
        )
        if not same:
            raise SystemExit(f"the quick CIF reader and pymatgen differ on:\n{cif}")
