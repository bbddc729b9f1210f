"""Preparing: a source becomes a file for training, and what is left out is told."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.crystal import Crystal
from crystext.data.prepare import CHUNK, prepare
from crystext.data.store import read_dataset
from crystext.errors import InputError, RunError, SettingError
from crystext.read import read_crystals
from crystext.standardize import standardize
from crystext.write import cif, write_crystals
from tests.handmade import HANDMADE, NACL, QUARTZ


def long(length: float) -> Crystal:
    return Crystal(
        np.array([3.0, 3.0, length]), np.array([90.0] * 3), np.array([26]), np.zeros((1, 3))
    )


def test_a_prepared_file_holds_the_standard_crystals_and_their_space_groups(tmp_path: Path) -> None:
    write_crystals(sorted(HANDMADE.items()), tmp_path / "x.parquet")
    report = prepare(tmp_path / "x.parquet", tmp_path / "out.parquet", workers=1)
    data = read_dataset(tmp_path / "out.parquet")
    assert report.written == len(data) == len(HANDMADE)
    for i, (_, crystal) in enumerate(sorted(HANDMADE.items())):
        standard, space_group = standardize(crystal)
        assert data[i].crystal == standard.in_text_order()
        assert data[i].labels["space_group"] == space_group


def test_cells_are_left_as_they_are_on_request(tmp_path: Path) -> None:
    write_crystals([("q", QUARTZ)], tmp_path / "x.parquet")
    prepare(tmp_path / "x.parquet", tmp_path / "out.parquet", standard=False, workers=1)
    record = read_dataset(tmp_path / "out.parquet")[0]
    assert record.crystal == QUARTZ.in_text_order()
    assert np.isnan(record.labels["space_group"])


def test_labels_of_the_source_are_kept_and_rows_are_chosen(tmp_path: Path) -> None:
    rows = [
        {"cif": cif(NACL), "spacegroup": 221, "band_gap": 5.0, "matches_heldout": False},
        {"cif": cif(QUARTZ), "spacegroup": 152, "band_gap": 6.0, "matches_heldout": True},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    where = {"matches_heldout": "False"}
    prepare(tmp_path / "x.parquet", tmp_path / "out.parquet", where=where, workers=1)
    data = read_dataset(tmp_path / "out.parquet")
    assert [data[i].labels["band_gap"] for i in range(len(data))] == [5.0]
    assert data[0].labels["space_group"] == 221
    assert np.isnan(data[0].labels["e_above_hull"])


def test_what_is_left_out_is_counted_by_reason_and_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    named = [("good", NACL), ("large", QUARTZ), ("long", long(120.0)), ("edge", long(99.996))]
    write_crystals([*named, ("fits", long(99.99)), ("short", long(0.9))], source, "cif")
    for i in range(7):
        (source / f"broken{i}.cif").write_text("broken")
    report = prepare(source, tmp_path / "out.parquet", max_atoms=8, workers=1)
    assert report.written == 2
    assert report.counts == {
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


def test_the_file_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    many = [
        (str(i), Crystal(NACL.lengths, NACL.angles, NACL.numbers, rng.random((8, 3))))
        for i in range(2 * CHUNK + 5)
    ]
    write_crystals(many, tmp_path / "x.parquet")
    reports = [
        prepare(tmp_path / "x.parquet", tmp_path / f"{n}.parquet", standard=False, workers=n)
        for n in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert multiprocessing.active_children() == []


def test_sources_with_nothing_to_prepare_and_places_that_cannot_be_written_are_refused(
    tmp_path: Path,
) -> None:
    source, out = tmp_path / "in.cif", tmp_path / "out.parquet"
    with pytest.raises(InputError, match="no file or folder"):
        prepare(source, out)
    source.write_text("broken")
    with pytest.raises(InputError, match=r"1 skipped(.|\n)*cannot be read: in"):
        prepare(source, out)
    source.write_text(cif(long(120)))
    with pytest.raises(InputError, match=r"nothing of .* is left(.|\n)*100 Å or more: in"):
        prepare(source, out)
    with pytest.raises(RunError, match="cannot be written"):
        prepare(source, source / "out.parquet")
    with pytest.raises(RunError, match="it is a folder"):
        prepare(source, tmp_path)
    with pytest.raises(SettingError, match="workers is 0"):
        prepare(source, out, workers=0)
    with pytest.raises(SettingError, match="max_atoms is 0"):
        prepare(source, out, max_atoms=0)
    with pytest.raises(SettingError, match="symprec is -1"):
        prepare(source, out, symprec=-1)
    assert [p.name for p in tmp_path.iterdir()] == ["in.cif"]


def test_held_out_rows_of_the_training_source_stay_out(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "mp2019_le20.parquet").slice(0, 150)
    pq.write_table(table, tmp_path / "x.parquet")
    kept = [row for row in table.to_pylist() if not row["matches_heldout"]]
    assert 0 < len(kept) < 150
    where = {"matches_heldout": "False"}
    report = prepare(tmp_path / "x.parquet", tmp_path / "out.parquet", where=where, workers=1)
    assert (report.written, report.counts) == (len(kept), {})
    data = read_dataset(tmp_path / "out.parquet")
    assert [data[i].labels["space_group"] for i in range(len(data))] == [
        row["spacegroup"] for row in kept
    ]
    names = [item.name for item in read_crystals(tmp_path / "x.parquet", where=where)]
    assert names == [row["id"] for row in kept]
