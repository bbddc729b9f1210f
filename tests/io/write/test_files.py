"""Writing: what is written is read back, by others too, and nothing is left half done."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from pymatgen.core.structure import Structure
from pymatgen.io.cif import CifParser

from crystext.errors import InputError, RunError, SettingError
from crystext.io.read import read_crystals
from crystext.io.read.pymatgen_and_ase import crystal_from_ase
from crystext.io.write import FILE_FORMATS, cif, extxyz, poscar, write_crystals
from crystext.runtime.files import explain_os_errors, write_text
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ
from tests.strategies import crystals

NAMED = sorted(EXAMPLE_CRYSTALS.items())


def wrapped_difference(a: np.ndarray, b: np.ndarray) -> float:
    difference = a - b
    return float(np.abs(difference - np.round(difference)).max())


def from_ase(path: Path) -> Crystal:
    atoms = ase.io.read(path)
    assert not isinstance(atoms, list)
    return crystal_from_ase(atoms)


@pytest.mark.parametrize(("name", "crystal"), NAMED)
@pytest.mark.parametrize("suffix", ["cif", "vasp", "extxyz"])
def test_pymatgen_and_ase_read_the_same_crystal_that_was_written(
    name: str, crystal: Crystal, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    write_crystals([(name, crystal)], path)
    ordered = crystal.in_text_order()
    found = [from_ase(path)]
    if suffix == "cif":
        found.append(Crystal.from_structure(CifParser(path).parse_structures(primitive=False)[0]))
    elif suffix == "vasp":
        found.append(Crystal.from_structure(Structure.from_file(path)))
    for other in found:
        other = other.in_text_order()
        assert other.numbers.tolist() == ordered.numbers.tolist()
        assert other.lengths == pytest.approx(ordered.lengths, abs=1e-6)
        assert other.angles == pytest.approx(ordered.angles, abs=1e-6)
        assert wrapped_difference(other.positions, ordered.positions) < 1e-6


@given(crystals(max_atoms=6))
def test_any_crystal_survives_poscar_and_extxyz(crystal: Crystal) -> None:
    from io import StringIO

    ordered = crystal.in_text_order()
    for text, format in ((poscar(crystal), "vasp"), (extxyz(ordered), "extxyz")):
        atoms = ase.io.read(StringIO(text), format=format)
        assert not isinstance(atoms, list)
        found = crystal_from_ase(atoms)
        assert found.numbers.tolist() == ordered.numbers.tolist()
        assert found.lengths == pytest.approx(ordered.lengths, abs=1e-7)
        assert found.angles == pytest.approx(ordered.angles, abs=1e-5)
        assert wrapped_difference(found.positions, ordered.positions) < 1e-6


@pytest.mark.parametrize("out", ["x.cif", "cifs", "x.extxyz", "x.parquet", "x.csv", "x.json"])
def test_many_crystals_are_read_back_with_their_names(out: str, tmp_path: Path) -> None:
    assert write_crystals(iter(NAMED), tmp_path / out) == len(NAMED)
    items = list(read_crystals(tmp_path / out))
    assert len(items) == len(NAMED)
    if out not in ("x.extxyz", "x.json"):
        assert [item.name for item in items] == [name for name, _ in NAMED]
    for item, (_, crystal) in zip(items, NAMED, strict=True):
        assert item.crystal is not None
        ordered = crystal.in_text_order()
        assert item.crystal.in_text_order().numbers.tolist() == ordered.numbers.tolist()
        assert wrapped_difference(item.crystal.in_text_order().positions, ordered.positions) < 1e-6


def test_a_parquet_file_holds_the_arrays_exactly_and_a_cif(tmp_path: Path) -> None:
    write_crystals([("q", QUARTZ)], tmp_path / "x.parquet")
    (row,) = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert row["name"] == "q"
    assert row["formula"] == "SiO2"
    assert row["n_atoms"] == 9
    assert np.array_equal(row["positions"], QUARTZ.positions)
    assert row["cif"] == cif(QUARTZ, "q")


@pytest.mark.parametrize("to", FILE_FORMATS)
def test_the_same_crystals_give_the_same_bytes(to: str, tmp_path: Path) -> None:
    for out in ("one", "two"):
        write_crystals(NAMED, tmp_path / out, to)
    one, two = (
        [(p.name, p.read_bytes()) for p in sorted(f.iterdir())] if f.is_dir() else f.read_bytes()
        for f in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_names_become_file_names_that_differ_and_stay_in_the_folder(tmp_path: Path) -> None:
    names = ["a", "A", "a", "../../up", "x/y", "", "Ω", 'q"\n', "a" * 300]
    write_crystals([(name, NACL) for name in names], tmp_path / "out", "cif")
    assert len(list((tmp_path / "out").iterdir())) == len(names)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert all(i.crystal is not None for i in read_crystals(tmp_path / "out"))


def breaking() -> Iterator[tuple[str, Crystal]]:
    yield "a", NACL
    raise OSError(errno.ENOSPC, "no space left")


@pytest.mark.parametrize("to", FILE_FORMATS)
def test_a_full_disk_is_told_and_leaves_what_was_there(to: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if to in ("extxyz", "parquet", "csv"):
        out.write_text("before")
    with pytest.raises(RunError, match="free some space"):
        write_crystals(breaking(), out, to)
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if out.exists() else [])
    if out.exists():
        assert out.read_text() == "before"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_full_in_truth_is_told(tmp_path: Path) -> None:
    # A file beside the target cannot be put on this device, so the message alone is tried.
    with pytest.raises(RunError, match="No space left"), explain_os_errors(tmp_path):
        Path("/dev/full").write_text("x" * 10_000)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file" / "x.cif", Path("/proc/nowhere/x.cif")):
        with pytest.raises(RunError, match="cannot be written"):
            write_crystals(NAMED, out)
        with pytest.raises(RunError, match="cannot be written"):
            write_text(out, "x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(RunError, match="holds files already"):
        write_crystals(NAMED, tmp_path / "full")
    with pytest.raises(RunError, match="is a file; expected a folder"):
        write_crystals(NAMED, tmp_path / "file", "cif")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]


@pytest.mark.parametrize("name", ["table.tsv", "x.yaml", "x.cif.gz", "x.db", "run.v2"])
def test_a_suffix_that_means_no_format_makes_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"files of crystals end in \.cif, \.vasp, "):
        write_crystals(NAMED, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_was_mistyped_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Did you mean '\.parquet'\?"):
        write_crystals(NAMED, tmp_path / "x.parqet")


def test_a_folder_may_have_a_dot_where_it_exists_or_the_format_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.v2").mkdir()
    for out, to, suffix in (
        ("run.v2", None, ".cif"),
        ("run.v3", "cif", ".cif"),
        ("v4.0", "poscar", ".vasp"),
    ):
        assert write_crystals(NAMED, tmp_path / out, to) == len(NAMED)
        assert {path.suffix for path in (tmp_path / out).iterdir()} == {suffix}


@pytest.mark.parametrize("name", ["POSCAR", "CONTCAR"])
@pytest.mark.parametrize("to", [None, "poscar"])
def test_the_names_that_vasp_knows_mean_a_poscar(name: str, to: str | None, tmp_path: Path) -> None:
    write_crystals([("a", NACL)], tmp_path / name, to)
    assert (tmp_path / name).read_text() == poscar(NACL, "a")
    with pytest.raises(SettingError, match="a POSCAR holds one"):
        write_crystals(NAMED, tmp_path / name, to)
    # A folder of that name stays one.
    (tmp_path / "folder" / name).mkdir(parents=True)
    assert write_crystals(NAMED, tmp_path / "folder" / name, to) == len(NAMED)


def test_several_crystals_for_one_poscar_no_crystal_and_no_format_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingError, match="a POSCAR holds one"):
        write_crystals(NAMED, tmp_path / "x.vasp")
    with pytest.raises(InputError, match="no crystals to write"):
        write_crystals([], tmp_path / "x.extxyz")
    with pytest.raises(SettingError, match="Did you mean 'cif'"):
        write_crystals([("a", IRON)], tmp_path / "x", "ciff")
    assert list(tmp_path.iterdir()) == []
