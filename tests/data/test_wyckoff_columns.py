"""Crystals by their symmetry in a store: as they were, or an error that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from crystext.data.prepare_store import prepare
from crystext.data.store import read_store, write_store
from crystext.data.wyckoff_columns import WYCKOFF_SCHEMA
from crystext.errors import InputError
from crystext.io.write import cif
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.tasks import Record
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, WYCKOFF
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.training.example_stream import Examples, TokenizedExample
from tests.example_crystals import EXAMPLE_CRYSTALS

KNOWN = [
    Record(c, {"space_group": 1.0}, n, to_wyckoff_or_none(c)) for n, c in EXAMPLE_CRYSTALS.items()
]
PROMPTS = load_prompts()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", {"train": [*KNOWN, replace(KNOWN[0], wyckoff=None)]})
    return tmp_path / "store"


def test_a_crystal_comes_back_by_its_symmetry_or_as_unknown(store: Path, tmp_path: Path) -> None:
    data = read_store(store, "train")
    for i, record in enumerate(KNOWN):
        found, given = data[i].wyckoff, record.wyckoff
        assert found is not None
        assert given is not None
        assert WYCKOFF.encode_wyckoff(found) == WYCKOFF.encode_wyckoff(given)
        assert found.cell == given.cell
        assert [o.free_coordinates.tolist() for o in found.orbits] == [
            o.free_coordinates.tolist() for o in given.orbits
        ]
    assert data[len(KNOWN)].wyckoff is None
    write_store(tmp_path / "empty", {"train": []})
    assert len(read_store(tmp_path / "empty", "train")) == 0


def rows(folder: Path) -> list[TokenizedExample]:
    examples = Examples(
        read_store(folder, "train"),
        build_tokenizer(PROMPTS.phrases()),
        PROMPTS,
        PLAIN,
        task_weights={"wyckoff_unconditional": 1.0, "wyckoff_conditional": 1.0},
        translate_probability=0.5,
        max_tokens=256,
        seed=0,
    )
    return examples.rows(range(40))


def test_examples_are_the_same_whether_the_store_knows_the_symmetry_or_not(
    store: Path, tmp_path: Path
) -> None:
    write_store(
        tmp_path / "unknown",
        {"train": [replace(record, wyckoff=None) for record in [*KNOWN, KNOWN[0]]]},
    )
    assert rows(store) == rows(tmp_path / "unknown")


def test_preparing_finds_the_symmetry(tmp_path: Path) -> None:
    (tmp_path / "cifs").mkdir()
    for name, crystal in EXAMPLE_CRYSTALS.items():
        (tmp_path / "cifs" / f"{name}.cif").write_text(cif(crystal))
    prepare(tmp_path / "cifs", tmp_path / "store", workers=1)
    about = json.loads((tmp_path / "store" / "store.json").read_text())
    records = [
        data[i]
        for split in about["splits"]
        for data in [read_store(tmp_path / "store", split)]
        for i in range(len(data))
    ]
    assert len(records) == len(EXAMPLE_CRYSTALS)
    for record in records:
        assert record.wyckoff is not None
        assert record.wyckoff.n_atoms == len(record.crystal)


def damaged(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    def with_column(name: str, values: list[object]) -> pa.Table:
        at = table.schema.get_field_index(name)
        return table.set_column(
            at, WYCKOFF_SCHEMA.field(name), pa.array(values, WYCKOFF_SCHEMA.field(name).type)
        )

    groups, letters = table["group"].to_pylist(), table["orbit_letters"].to_pylist()
    free, cells = table["orbit_free"].to_pylist(), table["cell"].to_pylist()
    yield "space groups that do not exist", with_column("group", [231, *groups[1:]])
    yield (
        "positions that do not exist",
        with_column("orbit_letters", ["?" * len(letters[0]), *letters[1:]]),
    )
    yield "a position for each orbit", with_column("orbit_letters", ["", *letters[1:]])
    yield "do not fit", with_column("orbit_free", [[0.5] * 9, *free[1:]])
    yield "do not fit", with_column("cell", [[*cells[0], 1.0], *cells[1:]])
    yield "values are missing", with_column("cell", [None, *cells[1:]])
    yield "no column cell", table.drop_columns("cell")


def test_damage_is_told_before_training_starts(store: Path) -> None:
    path = store / "train.arrow"
    with pa.memory_map(str(path)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
    for told, other in damaged(table):
        # Another file, for the table is read from the first.
        path.unlink()
        with path.open("wb") as file, pa.ipc.new_file(file, other.schema) as writer:
            writer.write_table(other)
        with pytest.raises(InputError, match=told):
            read_store(store, "train")


def test_a_store_without_these_columns_is_read(store: Path) -> None:
    path = store / "train.arrow"
    with pa.memory_map(str(path)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
    older = table.drop_columns(WYCKOFF_SCHEMA.names)
    path.unlink()
    with path.open("wb") as file, pa.ipc.new_file(file, older.schema) as writer:
        writer.write_table(older)
    assert read_store(store, "train")[0].wyckoff is None
    assert len(rows(store)) == 40
