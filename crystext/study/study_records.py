"""The records of a grid's tables, and the part of them that a pretraining learns from.

A table is a file below the data folder. All pretrainings of a grid draw from one order of the
pooled records: first those held out, the same for all, then the training records, of which a
smaller amount is the beginning of a larger one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.property_table import PropertyTable, read_property_table
from crystext.data.row_records import TEXT_COLUMNS
from crystext.data.table_rows import open_table
from crystext.errors import InputError
from crystext.io.read.parse import Piece, kind_of_text, parse_piece
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.study.grid import Grid
from crystext.study.study_data import level_value


class PretrainingRecords(NamedTuple):
    """What the pretrainings of a grid learn from."""

    train: tuple[Record, ...]
    """As many as the largest amount; a smaller one is their beginning."""
    validation: tuple[Record, ...]


def read_records(
    folder: Path, name: str, targets: Mapping[str, Property | None] | None = None
) -> PropertyTable:
    """Return the records of a table; those with a CIF or other text have no crystal yet.

    Args:
        folder: of the data.
        name: of the table.
        targets: labels to read; records without one of them are left out.

    Raises:
        InputError: the table cannot be read, or has no such label.
        SettingError: it has no such column.
    """
    targets = targets or {}
    path = folder / name
    table = open_table(path) if path.is_file() else None
    texts = table is not None and any(
        x in TEXT_COLUMNS[kind] for x in table.columns for kind in ("smiles", "cif")
    )
    return read_property_table(path, targets=targets, crystals=not texts)


def with_crystals(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return records with the crystals that their CIF texts describe; the others as they are."""
    return tuple(map(_with_crystal, records))


def pretraining_pool(grid: Grid, folder: Path) -> list[Record]:
    """Return all different records of a grid's tables, in an order of chance.

    Raises:
        InputError: a table cannot be read.
    """
    distinct: dict[object, Record] = {}
    for name in grid.data.tables:
        for record in read_records(folder, name).records:
            distinct.setdefault(_content(record), record)
    pool = list(distinct.values())
    return [pool[i] for i in np.random.default_rng(0).permutation(len(pool)).tolist()]


def amount(level: str) -> int:
    """Return the number of records of an amount, such as 5,000 of `5k`."""
    value = level_value(level)
    assert value is not None, "the grid's schema requires it"
    return int(value)


def needed_records(grid: Grid) -> tuple[int, int]:
    """Return the records that the largest pretraining of a grid learns, and those held out."""
    largest = max(map(amount, grid.data.sizes))
    return largest, math.ceil(largest * grid.data.validation)


def pretraining_records(grid: Grid, pool: Sequence[Record]) -> PretrainingRecords:
    """Return the training and validation records of a grid.

    Raises:
        InputError: there are fewer records than the grid needs.
    """
    largest, held_out = needed_records(grid)
    usable = _usable(grid, pool)
    chosen = [record for record, _ in zip(usable, range(largest + held_out), strict=False)]
    if len(chosen) < largest + held_out:
        raise InputError(
            f"data.sizes: {largest:,} records to learn and {held_out:,} held out are more than the "
            f"{len(chosen):,} different ones that the tables have"
        )
    return PretrainingRecords(tuple(chosen[held_out:]), tuple(chosen[:held_out]))


def _usable(grid: Grid, pool: Iterable[Record]) -> Iterator[Record]:
    """Yield the records that have what the targets follow from."""
    for record in pool:
        if grid.objective.targets == "descriptors":
            if "smiles" in record.texts:
                yield record
        elif (found := _with_crystal(record)).crystal is not None:
            yield found


def _with_crystal(record: Record) -> Record:
    if record.crystal is not None or "cif" not in record.texts:
        return record
    text = record.texts["cif"]
    (parsed, *_) = parse_piece(Piece("", kind_of_text(text) or "cif", text))
    return replace(record, crystal=parsed.crystal)


def _content(record: Record) -> object:
    """Return what two equal records share: their texts, or their crystal."""
    for kind in ("smiles", "cif"):
        if kind in record.texts:
            return record.texts[kind]
    crystal = record.crystal
    if crystal is None:
        return record.id
    return crystal.numbers.tobytes(), crystal.lattice.tobytes(), crystal.positions.tobytes()
