"""The store: a folder of crystals that a training run maps into memory without parsing.

    store.json          format, version, source, settings, counts, and the properties of its labels
    train.arrow         one Arrow IPC file for each split of the store
    validation.arrow
    test.arrow

A split has one row per crystal, all in one record batch: `name`; `lengths` (Å); `angles` (degrees);
`numbers` (atomic numbers); `positions` (fractional); a column for each label (`label_columns`); and
its space group and orbits (`wyckoff_columns`). Reading maps the file, so it takes the same short
time for any number of crystals, and processes that read one store share its memory. Version 1, with
four fixed labels, is read as well.

A store is written to a temporary folder and then renamed (`runtime.files.replace_folder`); an older
one is replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crystext import __version__
from crystext.chemistry.elements import SYMBOLS
from crystext.data.label_columns import (
    LabelColumns,
    describe_properties,
    label_arrays,
    label_names,
    read_label_columns,
    with_same_labels,
)
from crystext.data.wyckoff_columns import (
    WYCKOFF_SCHEMA,
    WyckoffColumns,
    read_wyckoff_columns,
    wyckoff_arrays,
)
from crystext.errors import InputError, RunError, describe_error, did_you_mean
from crystext.runtime.files import explain_os_errors, replace_folder
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.structures.record import Label, Record
from crystext.structures.wyckoff.orbits import WyckoffCrystal

SPLITS = ("train", "validation", "test")
"""The possible splits of a store, in this order."""

STORE_FILE = "store.json"
"""The file with the metadata of a store."""

STORE_FORMAT, STORE_VERSION = "crystext store", 2
"""Format and version in `store.json`; the version increases when older code cannot read it."""

_READABLE_VERSIONS = (1, STORE_VERSION)

_CRYSTAL_SCHEMA = pa.schema(
    [
        ("name", pa.large_string()),
        ("lengths", pa.list_(pa.float64(), 3)),
        ("angles", pa.list_(pa.float64(), 3)),
        ("numbers", pa.large_list(pa.int64())),
        ("positions", pa.large_list(pa.list_(pa.float64(), 3))),
    ]
)
"""Columns of every split. Labels follow, then `WYCKOFF_SCHEMA`, which older stores lack."""


class Records(Protocol):
    """Records by index: a split of a store, or records in memory."""

    def __len__(self) -> int:
        """Return the number of records."""

    def __getitem__(self, i: int, /) -> Record:
        """Return a record."""


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
    labels: LabelColumns
    """M values for each label of the split."""
    names: Sequence[Any] = ()
    """Names in the source, as Arrow strings; M, or none."""
    wyckoff: WyckoffColumns | None = None
    """The crystals by space group and orbits; None if the store lacks them."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> Record:
        atoms = slice(self.offsets[i], self.offsets[i + 1])
        crystal = Crystal(
            self.lengths[i], self.angles[i], self.numbers[atoms], self.positions[atoms]
        )
        name = self.names[i].as_py() if len(self.names) else ""
        wyckoff = None if self.wyckoff is None else self.wyckoff[i]
        return Record(crystal, self.labels.row(i), name, wyckoff)


def write_store(
    folder: str | Path,
    splits: Mapping[str, Iterable[Record]],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a store, whole or not at all.

    Args:
        folder: an empty or missing folder, or an older store, which is replaced once the new one is
            complete.
        splits: records by names of `SPLITS`; each holds a crystal. Atoms are put in text order. An
            existing Wyckoff description is kept; none is computed here.
        metadata: further entries of `store.json`: source, settings, skipped structures.

    Raises:
        RunError: the folder is not a store, or cannot be written; or a label has values of several
            types.
    """
    assert splits.keys() <= set(SPLITS), "a store has no other splits"
    # The target of a link, since the folder that it points to is replaced.
    folder = Path(folder).resolve()
    with explain_os_errors(folder, otherwise="free some space, or write elsewhere"):
        check_store_path(folder)
        with replace_folder(folder, hidden=True) as partial:
            _write_files(partial, splits, metadata or {})


def check_store_path(folder: Path) -> None:
    """Check that a store can be written to a path, before the work for it.

    Raises:
        RunError: something else is there, or the path is not writable.
    """
    if folder.exists():
        if not folder.is_dir():
            raise RunError(f"{folder} is a file; a store is a folder. Choose another name")
        ours = {STORE_FILE, *(f"{split}.arrow" for split in SPLITS)}
        others = sorted(path.name for path in folder.iterdir() if path.name not in ours)
        if others or (any(folder.iterdir()) and not _is_store(folder)):
            found = f", but holds {', '.join(others[:5])}" if others else ""
            raise RunError(
                f"{folder} is not a store{found}; only a store is replaced. Choose an empty or "
                "new folder"
            )
    above = next(path for path in folder.absolute().parents if path.exists())
    try:
        Path(mkdtemp(prefix=".crystext-", dir=above)).rmdir()
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written: {error.strerror or error}; choose a path where you may "
            "write"
        ) from None


def read_metadata(folder: str | Path) -> dict[str, Any]:
    """Return the contents of `store.json`.

    Raises:
        InputError: there is no store, or its version is not supported.
    """
    folder = Path(folder)
    make = "make one with `crystext data prepare SOURCE --out DIR`"
    try:
        about = json.loads((folder / STORE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if folder.exists():
            raise InputError(f"{folder} is not a store: it has no {STORE_FILE}; {make}") from None
        raise InputError(f"no store at {folder}; {make}") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is a file; expected the folder of a store; {make}") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / STORE_FILE} cannot be read: {describe_error(error, 'it is not JSON')}; "
            f"{make}"
        ) from None
    if not isinstance(about, dict) or about.get("format") != STORE_FORMAT:
        raise InputError(f"{folder} is not a store: its {STORE_FILE} does not say so; {make}")
    if about.get("version") not in _READABLE_VERSIONS:
        raise InputError(
            f"{folder} is a store of version {about.get('version')}, written by crystext "
            f"{about.get('crystext')}; crystext {__version__} reads versions "
            f"{' and '.join(map(str, _READABLE_VERSIONS))}. Prepare the data again, or install the "
            "version that wrote it"
        )
    return about


def read_store(folder: str | Path, split: str) -> Dataset:
    """Map one split of a store into memory.

    Args:
        folder: a store written by `crystext data prepare`.
        split: `train`, `validation` or `test`.

    Raises:
        InputError: the store or the split is missing, the version is not readable, or the file is
            damaged.
    """
    path = Path(folder) / f"{split}.arrow"
    about = read_metadata(folder)
    known = about.get("splits")
    if not isinstance(known, dict) or not isinstance(known.get(split), dict):
        names = list(known) if isinstance(known, dict) else []
        raise InputError(
            f"the store {folder} has no split {split!r}; it has {', '.join(names) or 'none'}."
            + (did_you_mean(split, names) or " Prepare it with --split, or with --validation")
        )
    try:
        with pa.memory_map(str(path)) as mapped:
            table = pa.ipc.open_file(mapped).read_all()
        # Otherwise offsets could point outside the file.
        table.validate(full=True)
        data = _dataset_of_table(table, about["version"])
    except FileNotFoundError:
        raise InputError(f"the store {folder} has lost {path.name}; prepare it again") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: "
            f"{describe_error(error, 'its columns are others')}; prepare the store again"
        ) from None
    recorded = known[split].get("crystals"), known[split].get("atoms")
    if recorded != (len(data), len(data.numbers)):
        raise InputError(
            f"{path} is damaged: it holds {len(data):,} crystals with {len(data.numbers):,} atoms, "
            f"{STORE_FILE} records {recorded[0]} with {recorded[1]}; prepare the store again"
        )
    if ((data.numbers < 1) | (data.numbers > len(SYMBOLS))).any():
        raise InputError(
            f"{path} is damaged: it holds atomic numbers outside 1 to {len(SYMBOLS)}; prepare the "
            "store again"
        )
    return data


def build_dataset(records: Iterable[Record]) -> Dataset:
    """Return records as a split of a store, in memory."""
    return _dataset_of_table(pa.Table.from_batches([_record_batch(records)]), STORE_VERSION)


def _write_files(
    folder: Path, splits: Mapping[str, Iterable[Record]], metadata: Mapping[str, Any]
) -> None:
    """Write the splits and then `store.json` to an empty folder."""
    described: dict[str, dict[str, int]] = {}
    batches = {split: _record_batch(splits[split]) for split in SPLITS if split in splits}
    names = dict.fromkeys(x for batch in batches.values() for x in label_names(batch.schema.names))
    for split, batch in with_same_labels(batches).items():
        described[split] = _write_split(folder / f"{split}.arrow", batch)
    document = {
        "format": STORE_FORMAT,
        "version": STORE_VERSION,
        "crystext": __version__,
        "splits": described,
        "properties": describe_properties(names),
        **metadata,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (folder / STORE_FILE).write_text(text, encoding="utf-8")


def _write_split(path: Path, batch: pa.RecordBatch) -> dict[str, int]:
    with path.open("wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    return {"crystals": len(batch), "atoms": len(batch.column("numbers").values)}


def _record_batch(records: Iterable[Record]) -> pa.RecordBatch:
    """Return the columns of a split."""
    columns: dict[str, list[Any]] = {name: [] for name in _CRYSTAL_SCHEMA.names}
    labels: list[Mapping[str, Label]] = []
    symmetric: list[WyckoffCrystal | None] = []
    for record in records:
        crystal = record.require_crystal().in_text_order()
        columns["name"].append(record.name)
        columns["lengths"].append(crystal.lengths)
        columns["angles"].append(crystal.angles)
        columns["numbers"].append(crystal.numbers)
        columns["positions"].append(crystal.positions)
        labels.append(record.labels)
        symmetric.append(record.wyckoff)
    ends = np.cumsum([0, *map(len, columns["numbers"])])

    def joined(name: str, shape: tuple[int, ...], kind: Any) -> pa.Array:
        # The empty array is for a split without crystals.
        parts = [np.empty(shape, kind), *(np.asarray(x, kind) for x in columns[name])]
        return pa.array(np.concatenate(parts).ravel())

    triple = pa.FixedSizeListArray.from_arrays
    arrays = {
        "name": pa.array(columns["name"], pa.large_string()),
        "lengths": triple(joined("lengths", (0,), np.float64), 3),
        "angles": triple(joined("angles", (0,), np.float64), 3),
        "numbers": pa.LargeListArray.from_arrays(ends, joined("numbers", (0,), np.int64)),
        "positions": pa.LargeListArray.from_arrays(
            ends, triple(joined("positions", (0, 3), np.float64), 3)
        ),
        **(held := label_arrays(labels)),
        **wyckoff_arrays(symmetric),
    }
    label_fields = [pa.field(name, array.type) for name, array in held.items()]
    schema = pa.schema([*_CRYSTAL_SCHEMA, *label_fields, *WYCKOFF_SCHEMA])
    return pa.record_batch(list(arrays.values()), schema=schema)


def _dataset_of_table(table: pa.Table, version: int) -> Dataset:
    """View the columns of a split as arrays, for a version of the store.

    Raises:
        ValueError: the columns are not those of a split.
    """
    for field in _CRYSTAL_SCHEMA:
        if (
            field.name not in table.schema.names
            or table.schema.field(field.name).type != field.type
        ):
            raise ValueError(f"it has no column {field.name} of type {field.type}")
    if any(table[name].null_count for name in _CRYSTAL_SCHEMA.names):
        raise ValueError("values are missing")
    # One batch, so one chunk; joining several would copy.
    chunks = {name: table[name] for name in table.schema.names}
    column = {
        name: x.chunk(0) if x.num_chunks == 1 else x.combine_chunks() for name, x in chunks.items()
    }
    offsets = column["numbers"].offsets.to_numpy()
    if not np.array_equal(offsets, column["positions"].offsets.to_numpy()):
        raise ValueError("its crystals have different numbers of atoms and positions")
    return Dataset(
        lengths=column["lengths"].values.to_numpy().reshape(-1, 3),
        angles=column["angles"].values.to_numpy().reshape(-1, 3),
        offsets=offsets,
        numbers=column["numbers"].values.to_numpy(),
        positions=column["positions"].values.values.to_numpy().reshape(-1, 3),
        labels=read_label_columns(column, version),
        names=column["name"],
        wyckoff=read_wyckoff_columns(column),
    )


def _is_store(folder: Path) -> bool:
    try:
        about = json.loads((folder / STORE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("format") == STORE_FORMAT
