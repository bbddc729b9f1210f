"""Data sets that ship with the package, so that an evaluation needs no network.

A set is a Parquet file in `crystext/data/sets`, with a row for each crystal: its id and its text.
Most are in the Wyckoff format, with more decimals than the model's; a crystal that such a text
would change is in the plain format. `README.md` beside the files states their origin and licence,
and `evaluation/shipped_model/build_reference_sets.py` makes them.

The predictor's training set is the generator's with more energies, and more crystals, which
`predictor.parquet` holds; `evaluation/shipped_model/build_predictor_set.py` makes it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crystext.data.store import Dataset, build_dataset
from crystext.errors import InputError
from crystext.runtime.shipped_files import shipped_sets
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.text import decode
from crystext.text.formats import recognized_format

TRAINING_SET = "shipped"
"""Name of the shipped model's training set."""

PREDICTOR_TRAINING_SET = "shipped-predictor"
"""Name of the shipped predictor's training set."""

_PREDICTOR_FILE = "predictor.parquet"

_FORMATION_ENERGY = "formation_energy_per_atom"

LABEL_BY_COLUMN = {
    "spacegroup.number": "space_group",
    _FORMATION_ENERGY: "formation_energy",
    "band_gap": "band_gap",
    "e_above_hull": "e_above_hull",
}
"""Property names of the columns of MP-20."""

_VALIDATION_PART = 20
"""One formula in so many is for validation."""

METADATA_KEY = b"crystext"
"""Key of the file's metadata: JSON with its provenance and the method of the fingerprints."""

FINGERPRINT_COLUMN = "fingerprint"
"""Column of structure fingerprints, as whole numbers."""

FINGERPRINT_SCALE = 10_000
"""Factor of the numbers of a fingerprint, all between -1 and 1, before rounding."""

MISSING_FINGERPRINT = -32_768
"""Placeholder for each number of a fingerprint that could not be computed."""


@dataclass(frozen=True)
class ShippedSet:
    """A data set that ships with the package."""

    file: str
    title: str
    n_crystals: int


SHIPPED_SETS = {
    TRAINING_SET: ShippedSet("training.parquet", "the shipped model's training set", 34704),
    "mp20_test": ShippedSet("mp20_test.parquet", "MP-20 test", 9046),
    "mp20_val": ShippedSet("mp20_val.parquet", "MP-20 validation", 9047),
}
"""By name."""


def shipped_set(name: str) -> Path:
    """Return the file of a set of `SHIPPED_SETS`."""
    return shipped_sets() / SHIPPED_SETS[name].file


def read_shipped_set(path: Path, *, wyckoff: bool = False) -> Iterator[Record]:
    """Yield the crystals of a set, with their ids and labels.

    Args:
        path: of the set's file.
        wyckoff: whether records have the space group and orbits that their text declares.

    Raises:
        InputError: the file cannot be read, or a text in it is invalid.
    """
    for record in _read_rows(path, wyckoff):
        if record.crystal is None:
            raise _damaged(path, record.name)
        yield record


def _read_rows(path: Path, wyckoff: bool) -> Iterator[Record]:
    """Yield the rows of a file as `read_shipped_set` does; one without a text has no crystal."""
    table = _read_table(path)
    labels = [name for name in table.column_names if name in LABEL_BY_COLUMN]
    for row in table.select(["material_id", "text", *labels]).to_pylist():
        values = {LABEL_BY_COLUMN[name]: row[name] for name in labels if row[name] is not None}
        if row["text"] is None:
            yield Record(None, values, row["material_id"])
            continue
        decoded = decode(row["text"])
        if decoded.crystal is None:
            raise _damaged(path, row["material_id"])
        fmt = recognized_format(row["text"])
        orbits = fmt.declared_wyckoff(row["text"]) if wyckoff else None
        yield Record(decoded.crystal, values, row["material_id"], orbits)


def _damaged(path: Path, name: str) -> InputError:
    return InputError(f"{path} is damaged at {name}; install crystext again")


def shipped_texts(path: Path) -> list[str]:
    """Return the texts of a set's crystals.

    Args:
        path: of the set's file.

    Raises:
        InputError: the file cannot be read.
    """
    texts: list[str] = _read_table(path)["text"].to_pylist()
    return texts


def sample_formation_energies(name: str, n: int) -> list[tuple[Crystal, float]]:
    """Return crystals of a shipped set with their formation energies in eV/atom.

    Args:
        name: of a set with formation energies.
        n: maximum number of crystals; they are evenly spaced in the set.

    Raises:
        InputError: the file cannot be read, or a text in it is invalid.
    """
    path = shipped_set(name)
    table = _read_table(path).select(["material_id", "text", _FORMATION_ENERGY])
    table = table.filter(table[_FORMATION_ENERGY].is_valid())
    rows = table.take(list(range(0, len(table), max(1, len(table) // n)))).to_pylist()[:n]
    pairs = []
    for row in rows:
        crystal = decode(row["text"]).crystal
        if crystal is None:
            raise _damaged(path, row["material_id"])
        pairs.append((crystal, float(row[_FORMATION_ENERGY])))
    return pairs


def is_shipped_training(store: Path) -> bool:
    """Return whether a recipe's store is the shipped training set: no folder has that name."""
    return store == Path(TRAINING_SET) and not store.exists()


def predictor_training_files(store: Path) -> tuple[Path, ...]:
    """Return the files of the predictor's training set if a recipe's store is it, else none."""
    if store != Path(PREDICTOR_TRAINING_SET) or store.exists():
        return ()
    return shipped_set(TRAINING_SET), shipped_sets() / _PREDICTOR_FILE


def read_shipped_training() -> dict[str, Dataset]:
    """Return the shipped training set as the splits `train` and `validation`.

    A crystal is labelled a metal where its band gap (PBE) is 0. The validation split holds every
    crystal of a twentieth of the formulas, chosen by a checksum: no formula is in both.
    """
    return _split(read_shipped_set(shipped_set(TRAINING_SET), wyckoff=True))


def read_predictor_training() -> dict[str, Dataset]:
    """Return the predictor's training set, split as `read_shipped_training` does.

    In `predictor.parquet` a row without a text has labels for the training crystal of that id;
    the others are crystals of their own.
    """
    labels, added = {}, []
    for record in _read_rows(shipped_sets() / _PREDICTOR_FILE, wyckoff=True):
        if record.crystal is None:
            labels[record.name] = record.labels
        else:
            added.append(record)
    known = (
        replace(x, labels={**x.labels, **labels.get(x.name, {})})
        for x in read_shipped_set(shipped_set(TRAINING_SET), wyckoff=True)
    )
    return _split([*known, *added])


def _split(records: Iterable[Record]) -> dict[str, Dataset]:
    splits: dict[str, list[Record]] = {"train": [], "validation": []}
    for record in records:
        formula = reduced_formula(record.require_crystal())
        held_out = zlib.crc32(formula.encode()) % _VALIDATION_PART == 0
        gap = record.labels.get("band_gap")
        metal = {} if gap is None else {"is_metal": gap == 0}
        splits["validation" if held_out else "train"].append(
            replace(record, labels={**record.labels, **metal})
        )
    return {split: build_dataset(part) for split, part in splits.items()}


def shipped_fingerprints(path: Path, method: str) -> Floats | None:
    """Return the structure fingerprints of a set; shape (N, 61), nan if a crystal has none.

    They are those of the published crystals, to 1/20,000. Computing them takes minutes.

    Args:
        path: of the set's file.
        method: required method; see `fingerprints.FINGERPRINT_METHOD`.

    Returns:
        The fingerprints; None if the file has none, or another method's.
    """
    table = _read_table(path)
    if (
        FINGERPRINT_COLUMN not in table.column_names
        or _read_metadata(table).get("fingerprints") != method
    ):
        return None
    column = table[FINGERPRINT_COLUMN].combine_chunks()
    rows = column.values.to_numpy().reshape(len(table), -1).astype(np.float64)
    rows[rows == MISSING_FINGERPRINT] = np.nan
    return np.asarray(rows / FINGERPRINT_SCALE)


def shipped_integers(path: Path, name: str) -> list[int] | None:
    """Return a column of whole numbers, one per crystal; None if the file lacks it.

    Args:
        path: of the set's file.
        name: of the column; it identifies everything that the numbers depend on.
    """
    table = _read_table(path)
    found: list[int] | None = table[name].to_pylist() if name in table.column_names else None
    return found


def _read_table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {error}; install crystext again") from None


def _read_metadata(table: Any) -> dict[str, Any]:
    found = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    return found if isinstance(found, dict) else {}
