"""Preparing: sources become a store, and what is left out is told."""

from __future__ import annotations

import json
import multiprocessing
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from ase import Atoms

from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.standardize import CHUNK_SIZE
from crystext.data.store import Dataset, read_metadata, read_store, write_store
from crystext.errors import InputError, RunError, SettingError
from crystext.io.write import cif, poscar, write_crystals
from crystext.structures.crystal import Crystal
from crystext.structures.standardize import standardize
from crystext.tasks import Record
from crystext.text import encode
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ, SRTIO3, WURTZITE

ALL_TRAIN = PrepareSettings(split="1/0/0")


def long(length: float) -> Crystal:
    return Crystal(
        np.array([3.0, 3.0, length]), np.array([90.0] * 3), np.array([26]), np.zeros((1, 3))
    )


def strained(count: int) -> list[tuple[str, Crystal]]:
    """Return crystals of formulas of their own, so that none matches another."""
    base = [NACL, SRTIO3, WURTZITE, QUARTZ, IRON]
    return [
        (f"x{i}", Crystal(c.lengths, c.angles, np.where(c.numbers == c.numbers[0], 30 + i, 8),
                          c.positions))
        for i in range(count) for c in [base[i % len(base)]]
    ]  # fmt: skip


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def about(store: Path) -> dict[str, Any]:
    return json.loads((store / "store.json").read_text())  # type: ignore[no-any-return]


def names(data: Dataset) -> list[str]:
    return [data[i].name for i in range(len(data))]


def test_a_store_holds_the_standard_crystals_and_their_space_groups(tmp_path: Path) -> None:
    write_crystals(sorted(EXAMPLE_CRYSTALS.items()), tmp_path / "x.parquet")
    report = prepare(tmp_path / "x.parquet", tmp_path / "out", ALL_TRAIN, workers=1)
    data = read_store(tmp_path / "out", "train")
    assert report.written_counts == {"train": len(EXAMPLE_CRYSTALS)}
    for i, (name, crystal) in enumerate(sorted(EXAMPLE_CRYSTALS.items())):
        standard, space_group = standardize(crystal)
        assert data[i].name == name
        assert data[i].crystal == standard.in_text_order()
        assert data[i].labels["space_group"] == space_group


def test_cells_are_left_as_they_are_on_request(tmp_path: Path) -> None:
    write_crystals([("q", QUARTZ)], tmp_path / "x.parquet")
    settings = PrepareSettings(split="1/0/0", standard=False)
    prepare(tmp_path / "x.parquet", tmp_path / "out", settings, workers=1)
    record = read_store(tmp_path / "out", "train")[0]
    assert record.crystal == QUARTZ.in_text_order()
    assert "space_group" not in record.labels


def test_labels_are_kept_where_they_make_sense_and_rows_are_chosen(tmp_path: Path) -> None:
    rows = [
        {"cif": cif(NACL), "spacegroup": 221, "band_gap": 5.0, "held": False},
        {"cif": cif(QUARTZ), "spacegroup": 152, "band_gap": 6.0, "held": True},
        {"cif": cif(IRON), "spacegroup": 0, "band_gap": float("nan"), "held": False},
    ]
    settings = PrepareSettings(split="1/0/0", where={"held": "False"})
    report = prepare(write_table(tmp_path / "x.parquet", rows), tmp_path / "out", settings)
    data = read_store(tmp_path / "out", "train")
    assert [data[i].labels["space_group"] for i in range(2)] == [221, 229], "0 is not a space group"
    assert data[0].labels["band_gap"] == 5.0
    assert "band_gap" not in data[1].labels
    assert report.label_counts["train"] == {"space_group": 2, "band_gap": 1}
    assert "train: 2; space_group of 2, band_gap of 1" in str(report)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_columns_that_name_no_property_are_told(tmp_path: Path, suffix: str) -> None:
    others = {f"other_{i}": i for i in range(7)}
    rows = [{"name": "salt", "cif": cif(NACL), "band_gap": 5.0, "held": "no", **others}]
    frame, path = pd.DataFrame(rows), tmp_path / f"x.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        (frame.to_csv if suffix == "csv" else frame.to_parquet)(path)
    settings = PrepareSettings(split="1/0/0", where={"held": "no"})
    report = prepare(path, tmp_path / "out", settings, workers=1)
    assert list(report.unread_columns) == [*others]
    note = "7 columns not read, since no property has this name: other_0, other_1, other_2, "
    assert str(report).count(note) == 1
    assert "other_5" not in str(report)
    # Nothing to say where every column is read.
    settings = PrepareSettings(split="1/0/0")
    write_table(tmp_path / "y.parquet", [{"cif": cif(NACL), "band_gap": 5.0}])
    assert "not read" not in str(prepare(tmp_path / "y.parquet", tmp_path / "all", settings))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_cells_that_are_no_value_of_a_label_are_counted_and_named(
    tmp_path: Path, suffix: str
) -> None:
    cells = ["2.5", "3.1 eV/atom", "soft", "3.1 GPa", "", None, "9" * 50 + " eV"]
    rows = [
        {"name": f"salt-{i}", "cif": cif(NACL), "e_above_hull": cell, "spacegroup": 225 if i else 0}
        for i, cell in enumerate(cells)
    ]
    frame, path = pd.DataFrame(rows), tmp_path / f"x.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        (frame.to_csv if suffix == "csv" else frame.to_parquet)(path)
    settings = PrepareSettings(split="1/0/0", keep_duplicates=True)
    report = prepare(path, tmp_path / "out", settings, workers=1)
    data = read_store(tmp_path / "out", "train")
    assert data.labels.known_values("e_above_hull") == [2.5, 3.1]
    assert data.labels["space_group"].tolist() == [225] * 7, "spglib finds it"
    assert (
        "e_above_hull not read from 5 rows: 2 empty (salt-4, salt-5); 1 in GPa instead of eV/atom "
        f"(salt-3: 3.1 GPa); 1 in eV instead of eV/atom (salt-6: {'9' * 40}...); 1 not a number "
        "(salt-2: soft)"
    ) in str(report)
    assert "space_group not read from 1 row: 1 below the minimum of 1 (salt-0: 0)" in str(report)
    notes = read_metadata(tmp_path / "out")["report"]["notes"]
    assert notes["e_above_hull not read: not a number"] == {
        "count": 1,
        "examples": ["salt-2: soft"],
    }


def test_what_is_left_out_is_counted_by_reason_and_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    named = [("good", NACL), ("large", QUARTZ), ("long", long(120.0)), ("edge", long(99.996))]
    write_crystals([*named, ("fits", long(99.99)), ("short", long(0.9))], source, "cif")
    for i in range(7):
        (source / f"broken{i}.cif").write_text("broken")
    settings = PrepareSettings(split="1/0/0", max_atoms=8)
    report = prepare(source, tmp_path / "out", settings, workers=1)
    assert report.written_counts == {"train": 2}
    assert report.skip_counts == {
        "cannot be read": 7,
        "with more than 8 atoms": 1,
        "with a cell length of 100 Å or more": 2,
        "with a cell length below 1 Å": 1,
    }
    text = str(report)
    assert "2 crystals written, 11 skipped" in text
    assert "broken0" in text
    assert "broken6" not in text
    assert "large (9)" in text
    assert about(tmp_path / "out")["report"]["skipped"]["cannot be read"]["count"] == 7


def test_a_repeated_id_is_skipped_and_a_repeated_name_is_not(tmp_path: Path) -> None:
    rows = [{"id": "a", "cif": cif(c)} for c in (NACL, QUARTZ)] + [{"id": "b", "cif": cif(IRON)}]
    report = prepare(write_table(tmp_path / "x.parquet", rows), tmp_path / "out", ALL_TRAIN)
    assert report.skip_counts == {"with the id of an earlier row": 1}
    assert names(read_store(tmp_path / "out", "train")) == ["a", "b"]
    # Rows of other files do not count as earlier ones, and a name is not an identifier.
    for k in range(2):
        write_csv(
            tmp_path / "in" / f"{k}.csv",
            [(str(i), c) for i, (_, c) in enumerate(strained(20)[k::2])],
        )
    assert prepare(tmp_path / "in", tmp_path / "two", ALL_TRAIN).written_counts == {"train": 20}
    salts = [{"name": "salt", "cif": cif(c)} for _, c in strained(20)]
    source = write_table(tmp_path / "salts.parquet", salts)
    assert prepare(source, tmp_path / "three", ALL_TRAIN).written_counts == {"train": 20}
    # The name of a CIF's block is often its formula, and no identifier.
    (tmp_path / "two.cif").write_text(cif(QUARTZ, "SiO2") + cif(WURTZITE, "SiO2"))
    assert prepare(tmp_path / "two.cif", tmp_path / "four", ALL_TRAIN).written_counts == {
        "train": 2
    }


def test_repetitions_are_left_out_of_train_unless_they_are_kept(tmp_path: Path) -> None:
    doubled = Crystal.from_structure(NACL.structure * (1, 1, 2))
    source = tmp_path / "x.parquet"
    write_crystals([("first", NACL), ("q", QUARTZ), ("again", doubled)], source)
    report = prepare(source, tmp_path / "out", ALL_TRAIN)
    assert names(read_store(tmp_path / "out", "train")) == ["first", "q"]
    (reason,) = report.skip_counts
    assert reason == "equal to an earlier one (StructureMatcher, ltol 0.2, stol 0.3, angle 5°)"
    assert report.skip_examples[reason] == ["again (first)"]
    prepare(source, tmp_path / "all", PrepareSettings(split="1/0/0", keep_duplicates=True))
    assert names(read_store(tmp_path / "all", "train")) == ["first", "q", "again"]


def test_a_source_without_splits_is_split_by_structure(tmp_path: Path) -> None:
    copies = [
        (f"{name}-{k}", Crystal(c.lengths * (1 + k / 500), c.angles, c.numbers, c.positions))
        for k in range(3)
        for name, c in strained(20)
    ]
    write_crystals(copies, tmp_path / "x.parquet")
    settings = PrepareSettings(keep_duplicates=True, split="0.6/0.2/0.2", seed=4)
    report = prepare(tmp_path / "x.parquet", tmp_path / "out", settings)
    assert sum(report.written_counts.values()) == 60
    assert all(report.written_counts[split] % 3 == 0 for split in ("train", "validation", "test"))
    found = {split: read_store(tmp_path / "out", split) for split in report.written_counts}
    base = {split: {n.split("-")[0] for n in names(data)} for split, data in found.items()}
    assert sum(len(b) for b in base.values()) == 20, "no structure is in two splits"
    assert len(base["validation"]) == len(base["test"]) == 4
    # Without a word about it, one in twenty is held out for either, but never none.
    prepare(tmp_path / "x.parquet", tmp_path / "other")
    assert {s: len(read_store(tmp_path / "other", s)) for s in SPLITS} == dict(
        zip(SPLITS, (18, 1, 1), strict=True)
    )


SPLITS = ("train", "validation", "test")
THREE = {"train": [("a", NACL), ("b", QUARTZ)], "val": [("c", IRON)], "test": [("d", SRTIO3)]}


def write_csv(path: Path, crystals: list[tuple[str, Crystal]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    rows = [{"material_id": name, "cif": cif(crystal)} for name, crystal in crystals]
    pa.csv.write_csv(pa.Table.from_pylist(rows), path)
    return path


def as_folder(tmp_path: Path) -> Path:
    for split, crystals in THREE.items():
        write_csv(tmp_path / "in" / f"{split}.csv", crystals)
    return tmp_path / "in"


def as_zip_of_folders(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for split, crystals in THREE.items():
            for name, crystal in crystals:
                archive.writestr(f"data/{split}/{name}.cif", cif(crystal))
    return tmp_path / "in.zip"


def as_json(tmp_path: Path) -> Path:
    document = {s: {n: poscar(c) for n, c in crystals} for s, crystals in THREE.items()}
    (tmp_path / "in.json").write_text(json.dumps(document))
    return tmp_path / "in.json"


def as_column(tmp_path: Path) -> Path:
    words = {"train": "train", "val": "valid", "test": "TEST"}
    rows = [{"id": n, "cif": cif(c), "split": words[s]} for s, cs in THREE.items() for n, c in cs]
    return write_table(tmp_path / "in.parquet", rows)


@pytest.mark.parametrize("made", [as_folder, as_zip_of_folders, as_json, as_column])
def test_published_splits_are_kept(made: Callable[[Path], Path], tmp_path: Path) -> None:
    report = prepare(made(tmp_path), tmp_path / "out")
    assert report.written_counts == {"train": 2, "validation": 1, "test": 1}
    found = [[n.rpartition("/")[2] for n in names(read_store(tmp_path / "out", s))] for s in SPLITS]
    assert found == [["a", "b"], ["c"], ["d"]]
    with pytest.raises(SettingError, match="has the splits train, validation, test"):
        prepare(made(tmp_path), tmp_path / "other", ALL_TRAIN)
    with pytest.raises(SettingError, match="has a split test already; leave out --test"):
        prepare(made(tmp_path), tmp_path / "other", test=made(tmp_path))


def test_splits_beside_what_belongs_to_none_are_refused(tmp_path: Path) -> None:
    folder = as_folder(tmp_path)
    write_csv(folder / "extra.csv", [("e", WURTZITE)])
    with pytest.raises(InputError, match=r"test\.csv, and others are not, such as extra\.csv"):
        prepare(folder, tmp_path / "out")
    rows = [{"cif": cif(c), "split": s} for c, s in ((NACL, "train"), (IRON, "val"), (QUARTZ, "x"))]
    with pytest.raises(InputError, match="splits train, val, x; expected train, val and test"):
        prepare(write_table(tmp_path / "x.parquet", rows), tmp_path / "out")
    # Other words do not name splits.
    rows = [{"cif": cif(c), "split": s} for c, s in ((NACL, "oxide"), (IRON, "metal"))]
    source = write_table(tmp_path / "x.parquet", rows)
    assert prepare(source, tmp_path / "out", ALL_TRAIN).written_counts == {"train": 2}


def test_held_out_sources_are_given_by_name_and_are_not_filtered(tmp_path: Path) -> None:
    rows = [{"cif": cif(c), "held": c is IRON} for c in (NACL, QUARTZ, IRON)]
    source = write_table(tmp_path / "x.parquet", rows)
    write_csv(tmp_path / "v.csv", [("v", SRTIO3), ("again", SRTIO3)])
    settings = PrepareSettings(where={"held": "False"})
    held_out = {"validation": tmp_path / "v.csv", "test": as_folder(tmp_path)}
    with pytest.raises(SettingError, match="takes crystals of the source for validation, and --v"):
        prepare(
            source, tmp_path / "out", PrepareSettings(split="8/1/1"), validation=tmp_path / "v.csv"
        )
    report = prepare(source, tmp_path / "out", settings, **held_out)
    assert report.written_counts == {"train": 2, "validation": 2, "test": 1}
    assert names(read_store(tmp_path / "out", "test")) == ["d"]
    said = about(tmp_path / "out")
    assert {said[key]["name"] for key in ("source", "validation", "test")} == {
        "x.parquet", "v.csv", "in",
    }  # fmt: skip
    assert len(said["test"]["sha256"]) == 64


def test_train_that_is_held_out_as_well_is_refused_unless_told_what_to_do(tmp_path: Path) -> None:
    shifted = Crystal(NACL.lengths, NACL.angles, NACL.numbers, NACL.positions + 0.3)
    source = tmp_path / "x.parquet"
    write_crystals([("a", NACL), ("b", QUARTZ), ("c", IRON)], source)
    write_crystals([("v", shifted)], tmp_path / "v.parquet")
    write_crystals([("t", WURTZITE), ("u", QUARTZ)], tmp_path / "t.parquet")
    held_out = {"validation": tmp_path / "v.parquet", "test": tmp_path / "t.parquet"}
    with pytest.raises(InputError) as refused:
        prepare(source, tmp_path / "out", **held_out)
    message = str(refused.value)
    assert (
        "2 of the 3 crystals of train are held out as well, 1 of validation and 1 of test"
        in message
    )
    assert "a is v of validation, b is u of test" in message
    assert "--drop-overlap" in message
    assert "--allow-overlap" in message
    assert not (tmp_path / "out").exists()
    report = prepare(source, tmp_path / "out", PrepareSettings(overlap="allow"), **held_out)
    assert report.written_counts["train"] == 3
    assert "2 of the 3 crystals of train" in about(tmp_path / "out")["report"]["overlap"]
    report = prepare(source, tmp_path / "dropped", PrepareSettings(overlap="drop"), **held_out)
    assert names(read_store(tmp_path / "dropped", "train")) == ["c"]
    assert report.skip_counts == {"of train held out as well": 2}
    with pytest.raises(InputError, match="no crystal is left in train"):
        prepare(source, tmp_path / "none", PrepareSettings(overlap="drop"), test=source)


def test_the_store_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    many = [
        (str(i), Crystal(NACL.lengths, NACL.angles, NACL.numbers, rng.random((8, 3))))
        for i in range(CHUNK_SIZE + 5)
    ]
    write_crystals(many, tmp_path / "x.parquet")
    settings = PrepareSettings(standard=False, keep_duplicates=True, split="1/0/0")
    reports = [
        prepare(tmp_path / "x.parquet", tmp_path / f"{n}", settings, workers=n) for n in (1, 2)
    ]
    assert reports[0] == reports[1]
    for name in ("train.arrow", "store.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert multiprocessing.active_children() == []


def test_an_ase_database_is_a_source_with_its_key_value_pairs_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with ase.db.connect(path) as database:
        for i, (name, c) in enumerate(sorted(EXAMPLE_CRYSTALS.items())):
            atoms = Atoms(c.symbols, cell=c.lattice, scaled_positions=c.positions, pbc=True)
            pairs = {"band_gap": i / 2} if i else {}
            database.write(atoms, mp_id=name, good=i > 1, data={"x": np.ones(3)}, **pairs)
    before = path.read_bytes()
    prepare(path, tmp_path / "out", PrepareSettings(split="1/0/0", where={"good": "True"}))
    data = read_store(tmp_path / "out", "train")
    assert names(data) == sorted(EXAMPLE_CRYSTALS)[2:]
    assert [data[i].labels["band_gap"] for i in range(3)] == [1.0, 1.5, 2.0]
    assert path.read_bytes() == before
    with pytest.raises(SettingError, match="no row of the database has the key 'godo'"):
        prepare(path, tmp_path / "other", PrepareSettings(where={"godo": "1"}))


def test_sources_with_nothing_to_prepare_and_places_that_cannot_be_written_are_refused(
    tmp_path: Path,
) -> None:
    source, out = tmp_path / "in.cif", tmp_path / "out"
    with pytest.raises(
        InputError, match=r"no file or folder .* Data sets that have a name are mp_"
    ):
        prepare(source, out)
    with pytest.raises(InputError, match="Did you mean 'mp_20'"):
        prepare("mp20", out)
    source.write_text("broken")
    with pytest.raises(InputError, match=r"1 skipped(.|\n)*cannot be read: in"):
        prepare(source, out)
    source.write_text(cif(long(120)))
    with pytest.raises(InputError, match=r"nothing of .* is left(.|\n)*100 Å or more: in"):
        prepare(source, out)
    source.write_text(cif(NACL))
    with pytest.raises(InputError, match="too few to be split"):
        prepare(source, out)
    with pytest.raises(RunError, match="cannot be written"):
        prepare(source, source / "out")
    with pytest.raises(RunError, match=r"not a store, but holds in\.cif"):
        prepare(source, tmp_path)
    with pytest.raises(SettingError, match="workers is 0"):
        prepare(source, out, workers=0)
    with pytest.raises(SettingError, match="max_atoms is 0"):
        prepare(source, out, PrepareSettings(max_atoms=0))
    with pytest.raises(SettingError, match="symprec is -1"):
        prepare(source, out, PrepareSettings(symprec=-1))
    for name, content, reason in (
        ("empty", None, "holds no file"),
        ("x.db", b"noise", "not an ASE database"),
        ("y.csv", b"a,b\n1,2\n", "no column holds structures"),
    ):
        path = tmp_path / name
        path.mkdir() if content is None else path.write_bytes(content)
        with pytest.raises(InputError, match=reason):
            prepare(path, out)
    write_store(out, {"train": [Record(NACL)]})
    with pytest.raises(InputError, match="is a store already"):
        prepare(out, tmp_path / "again")
    assert {p.name for p in tmp_path.iterdir()} == {"in.cif", "empty", "x.db", "y.csv", "out"}


def test_a_store_is_replaced_by_the_same_and_by_no_other(tmp_path: Path) -> None:
    out, a, b = tmp_path / "out", tmp_path / "a.csv", tmp_path / "b.csv"
    write_csv(a, strained(20))
    write_csv(b, [("b", IRON)])
    prepare(a, out, workers=1)
    before = about(out)
    assert before["settings"]["split"] is not None
    a.rename(tmp_path / "moved.csv")
    prepare(tmp_path / "moved.csv", out, workers=1)
    prepare(tmp_path / "moved.csv", out, PrepareSettings(split="0.9/0.05/0.05"), workers=1)
    (tmp_path / "moved.csv").rename(a)
    prepare(a, out, workers=1)
    assert about(out) == before

    def refused(source: Path, settings: PrepareSettings | None = None, **held_out: Path) -> str:
        with pytest.raises(RunError, match="holds a different store") as error:
            prepare(source, out, settings or PrepareSettings(), workers=1, **held_out)
        assert about(out) == before
        return str(error.value)

    message = refused(b)
    assert "source a.csv there, b.csv requested" in message
    assert "Name another folder, or remove this one" in message
    assert "max_atoms null there, 3 requested" in refused(a, PrepareSettings(max_atoms=3))
    assert "split {" in refused(a, ALL_TRAIN)
    assert "test none there, b.csv requested" in refused(a, test=b)
    write_csv(a, [("b", IRON)])
    assert "source a.csv there, a.csv of other contents requested" in refused(a)


def test_a_store_that_says_nothing_of_its_source_is_not_replaced(tmp_path: Path) -> None:
    write_store(tmp_path / "out", {"train": [Record(NACL)]})
    write_csv(tmp_path / "b.csv", [("b", IRON)])
    with pytest.raises(RunError, match=r"source none there, b\.csv requested"):
        prepare(tmp_path / "b.csv", tmp_path / "out")


def test_the_crystals_of_a_run_become_a_store(tmp_path: Path) -> None:
    lines = [
        {"index": 0, "text": encode(NACL), "fault": None},
        {"index": 1, "text": "5.64", "fault": "TRUNCATED"},
        {"index": 2, "text": encode(IRON), "fault": None},
    ]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text("{}")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "run" / "attempts.jsonl").write_text(text)
    report = prepare(tmp_path / "run", tmp_path / "out", ALL_TRAIN, workers=1)
    assert not report.skip_counts
    assert names(read_store(tmp_path / "out", "train")) == ["0", "2"]


def test_a_file_beside_the_crystals_is_of_no_account(tmp_path: Path) -> None:
    write_crystals([("a", NACL), ("b", IRON)], tmp_path / "in", "cif")
    prepare(tmp_path / "in", tmp_path / "out", ALL_TRAIN)
    before = about(tmp_path / "out")["source"]
    (tmp_path / "in" / "README").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "notes.md").write_text("notes")
    prepare(tmp_path / "in", tmp_path / "out", ALL_TRAIN)
    assert about(tmp_path / "out")["source"] == before
    (tmp_path / "in" / "c.cif").symlink_to(tmp_path / "nowhere")
    report = prepare(tmp_path / "in", tmp_path / "out", ALL_TRAIN)
    assert report.skip_counts == {"cannot be read": 1}
    assert about(tmp_path / "out")["source"] == {**before, "unreadable": ["c.cif"]}


def test_held_out_rows_of_the_training_source_stay_out(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "mp2019_le20.parquet").slice(90, 60)
    pq.write_table(table, tmp_path / "x.parquet")
    kept = [row for row in table.to_pylist() if not row["matches_heldout"]]
    assert 0 < len(kept) < 60
    settings = PrepareSettings(
        where={"matches_heldout": "False"}, split="1/0/0", keep_duplicates=True
    )
    report = prepare(tmp_path / "x.parquet", tmp_path / "out", settings, workers=1)
    assert (report.written_counts, report.skip_counts) == ({"train": len(kept)}, {})
    data = read_store(tmp_path / "out", "train")
    assert names(data) == [row["id"] for row in kept]
    assert [data[i].labels["space_group"] for i in range(len(data))] == [
        row["spacegroup"] for row in kept
    ]


def deuterides(count: int) -> list[dict[str, Any]]:
    """Return rows of POSCARs of deuterium and another element each."""
    row = "LiD\n1\n4 0 0\n0 4 0\n0 0 {}\n{} D\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    elements = ["Li", "Na", "K", "Rb", "Cs", "Cu", "Ag", "Au"]
    return [
        {"id": f"x{i}", "poscar": row.format(4 + 0.7 * (i // 8), elements[i % 8])}
        for i in range(count)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_crystals_that_are_read_with_a_note_are_counted_and_named(
    workers: int, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "x.parquet", deuterides(CHUNK_SIZE + 6))
    settings = PrepareSettings(split="1/0/0", keep_duplicates=True)
    report = prepare(path, tmp_path / "out", settings, workers=workers)
    note = "deuterium is read as hydrogen: texts know elements, not isotopes"
    assert report.note_counts == {note: CHUNK_SIZE + 6}
    assert f"{CHUNK_SIZE + 6} read with a note: {note}: x0, x1, x2, x3, x4, ..." in str(report)
    examples = {"count": CHUNK_SIZE + 6, "examples": [f"x{i}" for i in range(5)]}
    assert about(tmp_path / "out")["report"]["notes"] == {note: examples}


def test_a_store_of_lenient_reading_says_so_and_is_no_other_store(tmp_path: Path) -> None:
    rows = deuterides(3)
    rows[1]["poscar"] = rows[1]["poscar"].replace(".5 .5 .5", ".5 .5 .5\n.7 .7 .7")
    path = write_table(tmp_path / "x.parquet", rows)
    strict, lenient = (PrepareSettings(split="1/0/0", lenient=x) for x in (False, True))
    assert prepare(path, tmp_path / "out", strict, workers=1).written_counts == {"train": 2}
    report = prepare(path, tmp_path / "lenient", lenient, workers=1)
    assert report.written_counts == {"train": 3}
    assert any("line # holds a further position" in note for note in report.note_counts)
    assert about(tmp_path / "lenient")["settings"]["lenient"] is True
    with pytest.raises(RunError, match="lenient true there, false requested"):
        prepare(path, tmp_path / "lenient", strict, workers=1)


def test_a_store_from_before_lenient_reading_is_replaced_by_the_same(tmp_path: Path) -> None:
    path = write_table(tmp_path / "x.parquet", deuterides(2))
    prepare(path, tmp_path / "out", ALL_TRAIN, workers=1)
    said = about(tmp_path / "out")
    del said["settings"]["lenient"]
    (tmp_path / "out" / "store.json").write_text(json.dumps(said))
    assert prepare(path, tmp_path / "out", ALL_TRAIN, workers=1).written_counts == {"train": 2}
