"""Write crystals as tables: Parquet, CSV, and a JSON list of pymatgen's structures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crystext.io.write.cif_text import entry_cif
from crystext.io.write.crystal_file_text import structure_dict
from crystext.io.write.symmetry import CrystalEntry
from crystext.structures.properties import reduced_formula

ROWS_PER_GROUP = 1000
"""Number of crystals per row group of a Parquet file."""

Columns = Mapping[str, Sequence[object]]
"""Further columns of a table: plain values by name, one for each crystal."""


def write_parquet(crystals: Iterable[CrystalEntry], out: Path, columns: Columns) -> int:
    """Write a Parquet table, with arrays in all digits as columns; return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float64())
    schema = pa.schema(
        [
            *(("name", pa.string()), ("cif", pa.string()), ("formula", pa.string())),
            *(("n_atoms", pa.int64()), ("volume", pa.float64())),
            *(("lengths", vector), ("angles", vector)),
            *(("numbers", pa.list_(pa.int64())), ("positions", pa.list_(vector))),
            *((name, pa.array(values).type) for name, values in columns.items()),
        ]
    )
    count = 0
    iterator = iter(crystals)
    with pq.ParquetWriter(out, schema) as writer:
        while group := list(islice(iterator, ROWS_PER_GROUP)):
            rows = [
                {**_row(entry), **_arrays(entry), **_extra_columns(columns, count + i)}
                for i, entry in enumerate(group)
            ]
            count += len(group)
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return count


def write_csv(crystals: Iterable[CrystalEntry], out: Path, columns: Columns) -> int:
    """Write a CSV table, with structures as CIF in the column `cif`; return the number of rows.

    pandas reads the formula NaN of sodium nitride as a missing value, quoted or not, unless given
    `keep_default_na=False`.
    """
    count = 0
    names = [*("name", "cif", "formula", "n_atoms", "volume"), *columns]
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for count, entry in enumerate(crystals, start=1):
            writer.writerow({**_row(entry), **_extra_columns(columns, count - 1)})
    return count


def write_json(crystals: Iterable[CrystalEntry], out: Path, columns: Columns) -> int:
    """Write a JSON list of pymatgen's structures, one per line; return their number.

    `Structure.from_dict` reads each. Its properties hold the name and the columns.
    """
    count = 0
    with out.open("w", encoding="utf-8", newline="\n") as file:
        for count, entry in enumerate(crystals, start=1):
            written = structure_dict(entry, _extra_columns(columns, count - 1))
            file.write(("[\n" if count == 1 else ",\n") + json.dumps(written))
        file.write("\n]\n")
    return count


def _row(entry: CrystalEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "cif": entry_cif(entry),
        "formula": reduced_formula(entry.crystal.numbers),
        "n_atoms": len(entry.crystal),
        "volume": entry.crystal.volume,
    }


def _arrays(entry: CrystalEntry) -> dict[str, Any]:
    crystal = entry.crystal
    return {
        "lengths": crystal.lengths.tolist(),
        "angles": crystal.angles.tolist(),
        "numbers": crystal.numbers.tolist(),
        "positions": crystal.positions.tolist(),
    }


def _extra_columns(columns: Columns, place: int) -> dict[str, object]:
    return {name: values[place] for name, values in columns.items()}
