"""The store: what goes in comes out, whole or not at all, and damage is told."""

from __future__ import annotations

import json
import math
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystext.data.store import (
    STORE_VERSION,
    check_store_path,
    read_metadata,
    read_store,
    write_store,
)
from crystext.errors import InputError, RunError
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.tasks import Record
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL
from tests.strategies import crystals

numbers = st.floats(-10, 300) | st.just(math.nan)
labels = st.fixed_dictionaries(
    {},
    optional={
        "space_group": numbers,
        "band_gap": numbers,
        "is_metal": st.booleans(),
        "magnetic_ordering": st.sampled_from(["NM", "FM"]),
        "numbers": numbers,
        "colour (of others)": st.text("aé1-"),
    },
)
"""Those of the schema and those that this installation does not know, one of a column's name."""
RECORDS = [Record(crystal, {"band_gap": 1.5}, name) for name, crystal in EXAMPLE_CRYSTALS.items()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", {"train": RECORDS, "test": RECORDS[:2]})
    return tmp_path / "store"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.builds(Record, crystals(max_atoms=4), labels, st.text("aé1-")), max_size=5)
)
def test_what_was_written_is_read_in_text_order(records: list[Record], tmp_path: Path) -> None:
    write_store(tmp_path / "store", {"validation": records})
    data = read_store(tmp_path / "store", "validation")
    assert len(data) == len(records)
    for i, record in enumerate(records):
        assert data[i].crystal == record.crystal.in_text_order()
        assert data[i].name == record.name
        assert data[i].labels == {x: y for x, y in record.labels.items() if y == y}
    assert sorted(x.name for x in tmp_path.rglob("*")) == [
        "store", "store.json", "validation.arrow",
    ]  # fmt: skip


def test_a_split_is_mapped_into_memory_and_not_copied(store: Path) -> None:
    before = pa.total_allocated_bytes()
    data = read_store(store, "train")
    assert pa.total_allocated_bytes() == before
    assert data.offsets.tolist() == np.cumsum([0, *map(len, EXAMPLE_CRYSTALS.values())]).tolist()
    assert np.shares_memory(data[1].crystal.positions, data.positions)
    assert isinstance(data[0].crystal, Crystal)
    # Nothing that learns from a store can change it.
    assert not data.positions.flags.writeable


def test_two_writings_of_the_same_crystals_are_the_same_bytes(store: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "again", {"test": RECORDS[:2], "train": RECORDS})
    for path in store.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_an_older_store_is_replaced_as_a_whole(store: Path) -> None:
    mapped = read_store(store, "train")
    write_store(store, {"train": RECORDS[:1]}, {"source": "another"})
    assert sorted(path.name for path in store.iterdir()) == ["store.json", "train.arrow"]
    assert len(read_store(store, "train")) == 1
    assert json.loads((store / "store.json").read_text())["source"] == "another"
    assert [path.name for path in store.parent.iterdir()] == ["store"]
    assert mapped[4].crystal == RECORDS[4].crystal.in_text_order(), "a run goes on with what it has"


def test_a_link_goes_on_pointing_to_the_store(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    write_store(tmp_path / "link", {"train": RECORDS[:1]})
    assert (tmp_path / "link").is_symlink()
    assert len(read_store(store, "train")) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"link", "store"}


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_store_path(tmp_path / "new" / "folder" / "store")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written: Not a directory"):
        check_store_path(tmp_path / "file" / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_no_store_is_never_replaced(store: Path, tmp_path: Path) -> None:
    (store / "notes.txt").write_text("of years")
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "store.json").write_text('{"format": "of another program"}')
    for name, found in (("store", "notes.txt"), ("file", "is a file"), ("other", "is not a store")):
        with pytest.raises(RunError, match=found):
            write_store(tmp_path / name, {"train": RECORDS})
    assert (store / "notes.txt").read_text() == "of years"
    assert len(read_store(store, "train")) == 5
    assert (tmp_path / "other" / "store.json").exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failure_to_write_leaves_the_older_store_and_nothing_else(store: Path) -> None:
    with files_of_at_most(3000), pytest.raises(RunError, match="cannot be written"):
        write_store(store, {"train": RECORDS * 50})
    assert len(read_store(store, "train")) == 5
    assert len(read_store(store, "test")) == 2
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def test_nothing_is_left_behind_when_the_crystals_break_off(tmp_path: Path) -> None:
    def records() -> Iterator[Record]:
        yield Record(NACL)
        raise InputError("the second is invalid")

    with pytest.raises(InputError):
        write_store(tmp_path / "store", {"train": records()})
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_answered_with_how_to_make_it(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no store at .*crystext data prepare"):
        read_store(tmp_path / "none", "train")
    with pytest.raises(InputError, match=r"has no store.json"):
        read_store(tmp_path, "train")
    with pytest.raises(InputError, match="is a file"):
        read_store(store / "train.arrow", "train")
    with pytest.raises(InputError, match="has no split 'validation'; it has train, test"):
        read_store(store, "validation")
    with pytest.raises(InputError, match="Did you mean 'train'"):
        read_store(store, "trian")


def test_a_store_of_another_version_is_refused_with_both_versions(store: Path) -> None:
    about = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps({**about, "version": STORE_VERSION + 1}))
    with pytest.raises(
        InputError, match=f"version {STORE_VERSION + 1}.*reads versions 1 and {STORE_VERSION}"
    ):
        read_store(store, "train")
    (store / "store.json").write_text(json.dumps({**about, "format": "x"}))
    with pytest.raises(InputError, match="is not a store"):
        read_store(store, "train")
    (store / "store.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_store(store, "train")


@pytest.mark.parametrize("damage", ["lost", "cut", "noise", "swapped", "other", "offsets"])
def test_a_damaged_split_is_refused(damage: str, store: Path) -> None:
    path = store / "train.arrow"
    data = path.read_bytes()
    if damage == "lost":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(len(data)))
    elif damage == "swapped":
        shutil.copy(store / "test.arrow", path)
    elif damage == "other":
        table = pa.table({"cif": ["data_NaCl"]})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        # An offset that points far outside must not be followed.
        ends = np.cumsum([0, *map(len, EXAMPLE_CRYSTALS.values())])[2:4].astype(np.int64).tobytes()
        assert data.count(ends) == 2
        path.write_bytes(data.replace(ends, ends[:8] + (2**40).to_bytes(8, "little")))
    with pytest.raises(InputError, match=r"lost train.arrow|train.arrow is damaged"):
        read_store(store, "train")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_no_byte_that_flips_does_more_than_be_told(place: int, value: int, store: Path) -> None:
    path = store / "train.arrow"
    whole = path.read_bytes()
    try:
        data = bytearray(whole)
        data[place % len(data)] = value
        path.write_bytes(data)
        try:
            found = read_store(store, "train")
        except InputError:
            return
        assert len([found[i] for i in range(len(found))]) == 5
    finally:
        path.write_bytes(whole)


VERSION_1 = Path(__file__).with_name("store_version_1")
"""Written by crystext 0.1.0: `crystext data prepare` of a table of three crystals."""


def test_a_store_of_version_1_is_read_with_its_labels() -> None:
    train, validation = (read_store(VERSION_1, split) for split in ("train", "validation"))
    assert read_metadata(VERSION_1)["version"] == 1
    assert [train[i].labels for i in range(2)] == [
        {"space_group": 221.0, "formation_energy": -2.21, "band_gap": 5.5, "e_above_hull": 0.0},
        {"space_group": 221.0, "formation_energy": -3.55, "e_above_hull": 0.001},
    ]
    assert validation[0].labels == {"space_group": 229.0}
    formulas = [reduced_formula(data[0].require_crystal()) for data in (train, validation)]
    assert formulas == ["CsCl", "Fe"]
    assert train[1].wyckoff is not None
    assert train[1].wyckoff.space_group == 221


def test_a_store_of_version_1_that_lost_a_label_is_damaged(tmp_path: Path) -> None:
    shutil.copytree(VERSION_1, tmp_path / "store")
    path = tmp_path / "store" / "train.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    table = table.drop_columns("band_gap")
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="damaged: it has no column band_gap"):
        read_store(tmp_path / "store", "train")


def test_the_metadata_say_what_labels_mean_and_any_label_is_kept(tmp_path: Path) -> None:
    labels = {"is_metal": False, "formation_energy": -1.5, "phase of moon": "full"}
    others = Record(NACL, {"formation_energy": math.nan, "magnetic_ordering": "NM"})
    write_store(tmp_path / "store", {"train": [Record(NACL, labels), others]})
    data = read_store(tmp_path / "store", "train")
    assert data[0].labels == labels
    assert data[1].labels == {"magnetic_ordering": "NM"}
    assert data.labels.known_values("phase of moon") == ["full"]
    assert data.labels.known_values("band_gap") == []
    assert list(data.labels) == [
        "formation_energy",
        "is_metal",
        "magnetic_ordering",
        "phase of moon",
    ]
    about = read_metadata(tmp_path / "store")["properties"]
    assert about["formation_energy"] == {
        "title": "formation energy",
        "unit": "eV/atom",
        "kind": "number",
    }
    assert sorted(about) == ["formation_energy", "is_metal", "magnetic_ordering"]


def test_every_split_has_a_column_for_a_label_of_any_split(tmp_path: Path) -> None:
    splits = {
        "train": [Record(NACL, {"e_above_hull": 0.1, "magnetic_ordering": "NM"}), Record(NACL)],
        "validation": [Record(NACL), Record(NACL, {"is_metal": True})],
        "test": [],
    }
    write_store(tmp_path / "store", splits)
    expected = {"label.e_above_hull", "label.magnetic_ordering", "label.is_metal"}
    for split in splits:
        with pa.memory_map(str(tmp_path / "store" / f"{split}.arrow")) as mapped:
            names = pa.ipc.open_file(mapped).read_all().schema.names
        assert {x for x in names if x.startswith("label.")} == expected
    data = read_store(tmp_path / "store", "validation")
    assert [data[i].labels for i in range(2)] == [{}, {"is_metal": True}]
    assert np.isnan(data.labels["e_above_hull"]).all()
    assert data.labels.known_values("magnetic_ordering") == []
    assert len(read_store(tmp_path / "store", "test")) == 0


def test_a_label_of_two_types_is_refused_and_no_store_is_left(tmp_path: Path) -> None:
    mixed = [Record(NACL, {"colour": "red"}), Record(NACL, {"colour": 2.0})]
    with pytest.raises(RunError, match="the label colour is double and large_string"):
        write_store(tmp_path / "store", {"train": mixed})
    assert list(tmp_path.iterdir()) == []
