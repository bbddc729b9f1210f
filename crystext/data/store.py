"""Crystals prepared for training: one Parquet file that loads in a moment, without parsing.

A prepared file has one row per crystal: `lengths` (Å), `angles` (degrees), `numbers`, `positions`
(fractional, flattened), and a nullable column for each of `properties.LABELS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crystext.crystal import Crystal, Floats, Ints
from crystext.errors import InputError
from crystext.properties import LABELS
from crystext.tasks.base import Record

_SCHEMA = pa.schema(
    [
        ("lengths", pa.list_(pa.float64())),
        ("angles", pa.list_(pa.float64())),
        ("numbers", pa.list_(pa.int64())),
        ("positions", pa.list_(pa.float64())),
        *((name, pa.float64()) for name in LABELS),
    ]
)


@dataclass(frozen=True)
class Dataset:
    """Many crystals in flat arrays. Row i owns atoms `offsets[i]` to `offsets[i + 1]`."""

    lengths: Floats
    """Å; shape (M, 3)."""
    angles: Floats
    """Degrees; shape (M, 3)."""
    offsets: NDArray[np.int64]
    """Shape (M + 1,)."""
    numbers: Ints
    """Atomic numbers of all atoms, row after row."""
    positions: Floats
    """Fractional coordinates of all atoms; shape (number of atoms, 3)."""
    labels: dict[str, Floats]
    """For each of `LABELS`, M values; nan where unknown."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> Record:
        atoms = slice(self.offsets[i], self.offsets[i + 1])
        crystal = Crystal(
            self.lengths[i], self.angles[i], self.numbers[atoms], self.positions[atoms]
        )
        return Record(crystal, {name: float(values[i]) for name, values in self.labels.items()})


def write_dataset(path: Path, records: Iterable[Record]) -> int:
    """Write a prepared file and return the number of crystals. Atoms are put in text order."""
    columns: dict[str, list[object]] = {name: [] for name in _SCHEMA.names}
    for record in records:
        crystal = record.crystal.in_text_order()
        columns["lengths"].append(crystal.lengths)
        columns["angles"].append(crystal.angles)
        columns["numbers"].append(crystal.numbers)
        columns["positions"].append(crystal.positions.ravel())
        for name in LABELS:
            value = record.labels.get(name)
            columns[name].append(None if value is None or np.isnan(value) else float(value))
    table = pa.table(columns, schema=_SCHEMA)
    partial = path.with_name(path.name + ".partial")
    pq.write_table(table, partial)
    partial.replace(path)
    return int(table.num_rows)


def read_dataset(path: str | Path) -> Dataset:
    """Load a prepared file.

    Raises:
        InputError: the file is missing or was not made by `write_dataset`.
    """
    try:
        found = pq.read_schema(path)
        if missing := [name for name in _SCHEMA.names if name not in found.names]:
            raise InputError(
                f"{path} lacks columns of a prepared data file: no {', '.join(missing)} among "
                f"{', '.join(found.names)}; make it with `crystext data prepare`"
            )
        table = pq.read_table(path, columns=_SCHEMA.names)
    except FileNotFoundError:
        raise InputError(
            f"no prepared data at {path}; make it with `crystext data prepare`"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a prepared data file: {error}") from None
    if table.schema.remove_metadata() != _SCHEMA:
        raise InputError(
            f"{path} lacks columns of a prepared data file: some have other types; make it "
            "with `crystext data prepare`"
        )

    def flat(name: str) -> NDArray[np.float64]:
        return table[name].combine_chunks().values.to_numpy()  # type: ignore[no-any-return]

    counts = np.diff(table["numbers"].combine_chunks().offsets.to_numpy())
    return Dataset(
        lengths=flat("lengths").reshape(-1, 3),
        angles=flat("angles").reshape(-1, 3),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        numbers=flat("numbers").astype(np.int64),
        positions=flat("positions").reshape(-1, 3),
        labels={name: table[name].to_numpy(zero_copy_only=False) for name in LABELS},
    )
