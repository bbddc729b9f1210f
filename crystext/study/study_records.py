"""The records of a grid's tables, and the part of them that a pretraining learns from.

A table is a file or a store below the data folder, or `shipped`. All pretrainings of a grid draw
from one order of the pooled records: first those held out, the same for all, then the training
records, of which a smaller amount is the beginning of a larger one. Records of the test part of a
task are in neither.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.property_table import PropertyTable, label_values, read_property_table
from crystext.data.row_records import TEXT_COLUMNS
from crystext.data.shipped import TRAINING_SET, read_shipped_set, shipped_set
from crystext.data.table_rows import open_table
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.io.read.parse import Piece, kind_of_text, parse_piece
from crystext.runtime.files import file_digest, text_digest
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record
from crystext.study.grid import Grid
from crystext.study.study_data import level_value


class PretrainingRecords(NamedTuple):
    """What the pretrainings of a grid learn from."""

    train: tuple[Record, ...]
    """As many as the largest amount; a smaller one is their beginning."""
    validation: tuple[Record, ...]


def is_shipped(folder: Path, name: str) -> bool:
    """Return whether a table is the training set of the package: no file has that name."""
    return name == TRAINING_SET and not (folder / name).exists()


def table_exists(folder: Path, name: str) -> bool:
    """Return whether there is a table, a store or a set of the package of that name."""
    return is_shipped(folder, name) or (folder / name).exists()


def table_digest(folder: Path, name: str) -> str:
    """Return the digest of a table, or of all files of a store."""
    if is_shipped(folder, name):
        return file_digest(shipped_set(TRAINING_SET))
    path = folder / name
    if path.is_file():
        return file_digest(path)
    files = sorted(x for x in path.rglob("*") if x.is_file())
    return text_digest("".join(f"{x.relative_to(path)} {file_digest(x)}\n" for x in files))


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
    if is_shipped(folder, name):
        return _shipped_table(targets)
    path = folder / name
    table = open_table(path) if path.is_file() else None
    texts = table is not None and any(
        x in TEXT_COLUMNS[kind] for x in table.columns for kind in ("smiles", "cif")
    )
    return read_property_table(path, targets=targets, crystals=not texts)


@cache
def _shipped_records() -> tuple[Record, ...]:
    """Return the training set of the package, a metal where the band gap is 0; read once."""
    records = read_shipped_set(shipped_set(TRAINING_SET), wyckoff=True)
    return tuple(
        replace(x, labels={**x.labels, "is_metal": x.labels["band_gap"] == 0}) for x in records
    )


def _shipped_table(targets: Mapping[str, Property | None]) -> PropertyTable:
    records = _shipped_records()
    known = {name for record in records for name in record.labels}
    for name in targets:
        if name not in known:
            raise SettingError(
                f"the shipped set has no label {name!r}; it has {', '.join(sorted(known))}."
                + did_you_mean(name, known)
            )
        values = label_values(records, name)
        records = tuple(records[i] for i in np.flatnonzero(np.isfinite(values)).tolist())
    chosen = {name: given or PROPERTIES[name] for name, given in targets.items()}
    return PropertyTable(records, chosen)


def with_crystals(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return records with the crystals that their CIF texts describe; the others as they are."""
    return tuple(map(_with_crystal, records))


def is_small(record: Record, max_atoms: int | None) -> bool:
    """Return whether a record has no crystal, or one of at most so many atoms."""
    return max_atoms is None or record.crystal is None or len(record.crystal) <= max_atoms


def pretraining_pool(
    grid: Grid, folder: Path, excluded: Collection[object] = frozenset()
) -> list[Record]:
    """Return all different records of a grid's tables, in an order of chance.

    Args:
        grid: of any design.
        folder: of the data.
        excluded: contents (`record_content`) that are not for pretraining.

    Raises:
        InputError: a table cannot be read.
    """
    distinct: dict[object, Record] = {}
    for name in grid.data.tables:
        for record in read_records(folder, name).records:
            if is_small(record, grid.data.max_atoms):
                distinct.setdefault(record_content(record), record)
    pool = [record for content, record in distinct.items() if content not in excluded]
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
            f"{len(chosen):,} different ones that the tables have, without those of tests"
        )
    return PretrainingRecords(tuple(chosen[held_out:]), tuple(chosen[:held_out]))


def _usable(grid: Grid, pool: Iterable[Record]) -> Iterator[Record]:
    """Yield the records that have what the targets, or the texts, follow from."""
    for record in pool:
        found = record
        if "smiles" not in grid.texts or grid.objective.targets == "crystal":
            found = _with_crystal(record)
        if grid.objective.targets == "descriptors":
            is_usable = "smiles" in record.texts
        elif grid.objective.targets == "crystal":
            is_usable = found.crystal is not None
        else:
            is_usable = found.crystal is not None or bool(found.texts)
        if is_usable and is_small(found, grid.data.max_atoms):
            yield found


def _with_crystal(record: Record) -> Record:
    if record.crystal is not None or "cif" not in record.texts:
        return record
    text = record.texts["cif"]
    (parsed, *_) = parse_piece(Piece("", kind_of_text(text) or "cif", text))
    return replace(record, crystal=parsed.crystal)


def record_content(record: Record) -> object:
    """Return what two equal records share: their texts, or their crystal."""
    for kind in ("smiles", "cif"):
        if kind in record.texts:
            return record.texts[kind]
    crystal = record.crystal
    if crystal is None:
        return record.texts.get("formula", record.id)
    return crystal.numbers.tobytes(), crystal.lattice.tobytes(), crystal.positions.tobytes()
