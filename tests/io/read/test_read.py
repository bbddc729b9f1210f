"""Reading: any file that holds crystals, and no file that could do harm."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from pymatgen.core.structure import Structure
from pymatgen.io.cif import CifWriter

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.relaxation_files import RelaxedSet, RelaxedStructure, write_relaxed
from crystext.errors import InputError, SettingError
from crystext.io.read import as_crystal, read_crystal, read_crystals
from crystext.io.read.sources import estimate_size, pieces
from crystext.io.write import cif, poscar, write_crystals
from crystext.structures.crystal import Crystal
from crystext.text import decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ, WURTZITE


def assert_same(found: Crystal, expected: Crystal, tolerance: float = 1e-6) -> None:
    found, expected = found.in_text_order(), expected.in_text_order()
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert found.lengths == pytest.approx(expected.lengths, abs=tolerance)
    assert found.angles == pytest.approx(expected.angles, abs=tolerance * 100)
    difference = found.positions - expected.positions
    assert np.abs(difference - np.round(difference)).max() < tolerance


def good(source: Path, **options: dict[str, str]) -> list[str]:
    return [item.name for item in read_crystals(source, **options) if item.crystal is not None]


@pytest.mark.parametrize("name", sorted(EXAMPLE_CRYSTALS))
@pytest.mark.parametrize("filename", ["x.cif", "POSCAR", "CONTCAR.relaxed", "x.vasp", "x.cif.gz"])
def test_a_file_of_pymatgen_is_read_as_it_was_written(
    name: str, filename: str, tmp_path: Path
) -> None:
    structure = EXAMPLE_CRYSTALS[name].structure
    kind = "cif" if ".cif" in filename else "poscar"
    data = structure.to(fmt=kind).encode()
    path = tmp_path / filename
    path.write_bytes(gzip.compress(data) if filename.endswith(".gz") else data)
    assert_same(read_crystal(path), EXAMPLE_CRYSTALS[name])


@pytest.mark.parametrize(
    "suffix", ["extxyz", "xsf", "gen", "xsd", "traj", "vasp", "cif", "json", "db"]
)
def test_a_file_of_ase_is_read_as_it_was_written(suffix: str, tmp_path: Path) -> None:
    structure = QUARTZ.structure
    atoms = Atoms(
        QUARTZ.symbols, cell=structure.lattice.matrix, scaled_positions=QUARTZ.positions, pbc=True
    )
    path = tmp_path / f"quartz.{suffix}"
    ase.io.write(path, atoms)
    assert_same(read_crystal(path), QUARTZ, 2e-5)


@pytest.mark.parametrize("suffix", ["json", "cssr"])
def test_other_formats_of_pymatgen_are_read(suffix: str, tmp_path: Path) -> None:
    WURTZITE.structure.to(str(tmp_path / f"x.{suffix}"))
    assert_same(read_crystal(tmp_path / f"x.{suffix}"), WURTZITE, 1e-4)


def test_a_file_without_a_telling_name_is_known_by_its_contents(tmp_path: Path) -> None:
    for i, text in enumerate((cif(NACL), poscar(NACL))):
        path = tmp_path / f"unnamed{i}"
        path.write_text(text)
        assert_same(read_crystal(path), NACL)


def test_a_cif_with_symmetry_is_expanded_to_all_its_atoms(tmp_path: Path) -> None:
    path = tmp_path / "quartz.cif"
    CifWriter(QUARTZ.structure, symprec=0.01).write_file(path)
    assert path.read_text().count("\n  Si  ") == 1
    found = read_crystal(path)
    assert sorted(found.numbers.tolist()) == sorted(QUARTZ.numbers.tolist())
    assert found.volume == pytest.approx(QUARTZ.volume, rel=1e-5)


def test_coordinates_near_a_third_are_kept_as_written_in_a_cell_without_symmetry(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.cif"
    path.write_text(cif(IRON).replace("0.9999", "0.33335"))
    assert read_crystal(path).positions[0, 0] == 0.33335


def test_a_left_handed_basis_keeps_the_chirality(tmp_path: Path) -> None:
    matrix = QUARTZ.structure.lattice.matrix[[1, 0, 2]]
    swapped = Atoms(
        QUARTZ.symbols, cell=matrix, scaled_positions=QUARTZ.positions[:, [1, 0, 2]], pbc=True
    )
    ase.io.write(tmp_path / "left.extxyz", swapped)
    space_group = read_crystal(tmp_path / "left.extxyz").structure.get_space_group_info(0.01)
    assert space_group == QUARTZ.structure.get_space_group_info(0.01)


def test_every_block_of_a_cif_and_every_frame_of_an_extxyz_is_a_structure(tmp_path: Path) -> None:
    (tmp_path / "two.cif").write_text("data_global\n_author x\n" + cif(NACL, "a") + cif(IRON, "a"))
    assert [i.name for i in read_crystals(tmp_path / "two.cif")] == ["a", "a"]
    frames = [Atoms("Fe", cell=[a, a, a], pbc=True) for a in np.linspace(2, 3, 50)]
    ase.io.write(tmp_path / "many.extxyz", frames)
    found = list(read_crystals(tmp_path / "many.extxyz"))
    assert [i.crystal.lengths[0] for i in found if i.crystal] == pytest.approx(
        np.linspace(2, 3, 50)
    )


def test_extxyz_is_read_frame_by_frame_and_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.extxyz"
    ase.io.write(path, Atoms("Fe", cell=[2, 2, 2], pbc=True))
    path.write_text(path.read_text() * 3 + "this is no frame\n" + "noise\n" * 10)
    items = read_crystals(path)
    assert [i.crystal is not None for i in itertools.islice(items, 3)] == [True] * 3
    (last,) = items
    assert last.crystal is None
    assert "frame 4 starts with 'this is no frame'" in str(last.message)


@pytest.mark.parametrize(
    ("comment", "name", "identifier"),
    [
        ("", "x-1", ""),
        ('name="rock  salt"', "rock  salt", ""),
        ("material_id=mp-30", "mp-30", "mp-30"),
        ("name='a b' material_id=mp-30 pbc=\"T T T\"", "a b", "mp-30"),
        ('note="its name=wrong" name = "said \\"so\\""', 'said "so"', ""),
        ('name=""', "x-1", ""),
    ],
)
def test_the_comment_of_a_frame_names_it(
    tmp_path: Path, comment: str, name: str, identifier: str
) -> None:
    path = tmp_path / "x.extxyz"
    path.write_text(f'1\nLattice="2 0 0 0 2 0 0 0 2" {comment}\nFe 0 0 0\n')
    (item,) = read_crystals(path)
    assert item.crystal is not None
    assert (item.name, item.id) == (name, identifier)


def test_a_written_extxyz_is_read_with_its_names(tmp_path: Path) -> None:
    write_crystals([("rock salt", NACL), ("", IRON)], tmp_path / "x.extxyz", "extxyz")
    assert [i.name for i in read_crystals(tmp_path / "x.extxyz")] == ["rock salt", "crystal"]


def test_a_folder_is_searched_in_order_and_a_broken_file_does_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.cif").write_text(cif(NACL))
    (tmp_path / "a.cif").write_text("broken")
    (tmp_path / "sub" / "POSCAR").write_text(poscar(IRON))
    (tmp_path / "README.md").write_text("no crystal")
    (tmp_path / ".hidden.cif").write_text(cif(NACL))
    found = [(i.name, i.crystal is None) for i in read_crystals(tmp_path)]
    assert found == [("a", True), ("b", False), ("sub/POSCAR", False)]


def test_a_zip_is_read_like_the_folder_it_was_made_of_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/b.cif", cif(NACL))
        archive.writestr("../../up.vasp", poscar(IRON))
        archive.writestr("__MACOSX/d/._b.cif", "no crystal")
        archive.writestr("table.csv", 'cif\n"' + cif(WURTZITE) + '"\n')
        archive.writestr("broken.cif", "broken")
    found = {i.name: i.crystal is not None for i in read_crystals(path)}
    assert found.pop("d/b")
    assert found.pop("broken") is False
    assert found.pop("table-1")
    assert found == {}, "hidden members and those outside of the archive are passed over"
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


def test_a_zip_bomb_is_refused_and_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.cif", b"0" * 200_000_000)
    with pytest.raises(InputError, match="larger than"):
        read_crystal(path)


ROWS = [
    {"material_id": "m-1", "cif": cif(NACL), "band_gap": 5.0, "spacegroup.number": 225,
     "formation_energy_per_atom": -2.1, "e_above_hull": 0.0, "held": False},
    {"material_id": "m-2", "cif": "broken", "band_gap": None, "spacegroup.number": 1,
     "formation_energy_per_atom": 0.0, "e_above_hull": 0.0, "held": False},
    {"material_id": "m-3", "cif": cif(IRON), "band_gap": None, "spacegroup.number": 229,
     "formation_energy_per_atom": 0.0, "e_above_hull": 0.0, "held": True},
]  # fmt: skip


def table(folder: Path, kind: str) -> Path:
    path = folder / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
        data = text.getvalue().encode()
        path.write_bytes(gzip.compress(data) if kind.endswith("gz") else data)
    return path


each_table = pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "json"])


@each_table
def test_a_table_gives_names_crystals_labels_and_problems(kind: str, tmp_path: Path) -> None:
    first, second, third = read_crystals(table(tmp_path, kind))
    assert (first.name, second.name, third.name) == ("m-1", "m-2", "m-3")
    assert first.crystal is not None
    assert_same(first.crystal, NACL)
    assert first.labels == {
        "space_group": 225, "formation_energy": -2.1, "band_gap": 5.0, "e_above_hull": 0.0
    }  # fmt: skip
    assert second.crystal is None
    assert "broken" in str(second.message)
    assert "band_gap" not in third.labels


@each_table
def test_rows_are_chosen_by_the_value_of_a_column(kind: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind)
    assert good(path, where={"held": "False"}) == ["m-1"]
    assert good(path, where={"held": "true"}) == ["m-3"]
    assert good(path, where={"spacegroup.number": "229", "held": "True"}) == ["m-3"]
    with pytest.raises(InputError, match=r"no row of .* has held=maybe"):
        good(path, where={"held": "maybe"})
    with pytest.raises(SettingError, match="Did you mean 'held'"):
        good(path, where={"hled": "False"})


def test_a_filter_on_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.cif").write_text(cif(NACL))
    with pytest.raises(SettingError, match="needs a table"):
        good(tmp_path / "x.cif", where={"a": "b"})


def test_json_tables_of_several_layouts_are_read(tmp_path: Path) -> None:
    structure = NACL.structure.as_dict()
    escaped = poscar(NACL).replace("\n", "\\n")
    layouts = {
        "splits": {"train": {"a": escaped}, "test": {"b": escaped}},
        "names": {"a": poscar(NACL), "b": cif(NACL)},
        "pandas": {"columns": ["structure", "gap pbe"], "index": ["a", "b"],
                   "data": [[structure, 1.0], [structure, 2.0]]},
        "rows": [{"id": "a", "structure": structure}, {"id": "b", "poscar": poscar(NACL)}],
    }  # fmt: skip
    for name, layout in layouts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(layout))
        items = list(read_crystals(tmp_path / f"{name}.json"))
        assert [i.name for i in items] == ["a", "b"], name
        for item in items:
            assert item.crystal is not None, item.message
            assert_same(item.crystal, NACL)
    assert good(tmp_path / "splits.json", where={"split": "test"}) == ["b"]


def test_json_that_pandas_writes_by_columns_or_by_lines_is_read_by_rows(tmp_path: Path) -> None:
    rows = [{"material_id": f"m-{i}", "cif": cif(c), "band_gap": float(i), "split": s}
            for i, (c, s) in enumerate(((NACL, "train"), (IRON, "test")))]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.to_json(tmp_path / "columns.json")
    frame.to_json(tmp_path / "lines.json", orient="records", lines=True)
    frame.to_json(tmp_path / "lines.jsonl", orient="records", lines=True)
    frame.set_index("material_id").to_json(tmp_path / "named.json")
    for path in tmp_path.iterdir():
        items = list(read_crystals(path))
        assert [item.name for item in items] == ["m-0", "m-1"], path.name
        assert [item.split for item in items] == ["train", "test"], path.name
        assert [item.labels["band_gap"] for item in items] == [0.0, 1.0], path.name
        assert items[0].crystal is not None
        assert_same(items[0].crystal, NACL)
        assert good(path, where={"split": "test"}) == ["m-1"]


def test_records_beside_the_crystals_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif(NACL))
    (tmp_path / "records.jsonl").write_text(json.dumps({"cif": cif(NACL)}) + "\n")
    assert good(tmp_path) == ["a"]
    assert good(tmp_path / "records.jsonl") == ["records-1"]


def write_run(folder: Path, texts: list[str]) -> Path:
    """Write what `crystext sample` leaves, with crystals exported and a last line torn."""
    write_crystals([("000000", NACL)], folder / "cif", "cif")
    lines = [
        {"index": i, "text": text, "fault": None if decode(text) else "TRUNCATED"}
        for i, text in enumerate(texts)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"index": 9, "te'
    (folder / "attempts.jsonl").write_text(text)
    (folder / "settings.json").write_text('{"prompt": "An inorganic crystal\\n"}')
    return folder


def test_a_run_is_read_as_its_attempts_that_are_crystals_wherever_it_lies(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "all" / "run", [encode(NACL), "5.64 5.64", encode(QUARTZ, "wyckoff")]
    )
    found = list(read_crystals(run))
    assert [item.name for item in found] == ["0", "2"]
    for item, expected in zip(found, (NACL, QUARTZ), strict=True):
        assert item.crystal is not None
        assert item.crystal.numbers.tolist() == expected.in_text_order().numbers.tolist()
    assert good(run / "attempts.jsonl") == ["0", "2"]
    (tmp_path / "all" / "a.cif").write_text(cif(IRON))
    assert good(tmp_path / "all") == ["a", "0", "2"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted((tmp_path / "all").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path / "all"))
    assert good(tmp_path / "all.zip") == ["a", "0", "2"]


def test_a_run_without_crystals_or_with_other_lines_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 2 samples is a crystal"):
        list(read_crystals(write_run(tmp_path / "run", ["", "5.64"])))
    (tmp_path / "attempts.jsonl").write_text('{"index": 0}\n')
    with pytest.raises(InputError, match="line 1 is damaged; expected a JSON object with index"):
        list(read_crystals(tmp_path / "attempts.jsonl"))


def test_what_relax_left_is_its_table_alone(tmp_path: Path) -> None:
    rows = (RelaxedStructure(NACL, name="a", energy=-1.0), RelaxedStructure.failed("b", "DIED"))
    write_relaxed(RelaxedSet("m3gnet", next(iter(EnergyCorrection)), rows), tmp_path / "relaxed")
    write_crystals([("000000-a", NACL)], tmp_path / "relaxed" / "cif", "cif")
    for source in (tmp_path / "relaxed", tmp_path):
        found = [(item.name, item.message) for item in read_crystals(source)]
        assert found == [("a", None), ("b", "the row has no structure")]
    assert estimate_size(tmp_path / "relaxed", {}) == 2


def test_a_broken_line_of_json_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"cif": cif(NACL)}) + '\n{"cif": ')
    with pytest.raises(InputError, match="its line 2 is not valid JSON"):
        read_crystal(tmp_path / "x.jsonl")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_fractional_coordinates_go_before_positions_that_may_be_others(
    kind: str, order: int, tmp_path: Path
) -> None:
    row = {
        "lengths": QUARTZ.lengths.tolist(),
        "angles": QUARTZ.angles.tolist(),
        "species": QUARTZ.symbols,
        "positions": (QUARTZ.positions @ QUARTZ.lattice).tolist(),
        "frac_coords": QUARTZ.positions.tolist(),
    }
    row = dict(list(row.items())[::order])
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        path.write_text(json.dumps([row]))
    assert_same(read_crystal(path), QUARTZ)


def test_what_tells_rows_apart_is_an_id_and_a_name_is_none(tmp_path: Path) -> None:
    rows = [{"name": "salt", "cif": cif(NACL)}, {"name": "salt", "id": 7, "cif": cif(IRON)}]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    assert [(i.name, i.id) for i in read_crystals(tmp_path / "x.json")] == [
        ("salt", ""), ("salt", "7"),
    ]  # fmt: skip
    (tmp_path / "y.json").write_text(json.dumps(rows))
    ids = [item.id for item in read_crystals(tmp_path) if item.id]
    assert len(set(ids)) == 2, "of two files"


@contextmanager
def may_not_search(folder: Path) -> Iterator[None]:
    """Take away the right to search a folder, from the superuser by becoming another user."""
    folder.chmod(0)
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_searched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By a relative path: folders above may be closed to others.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "closed").mkdir(parents=True)
    (tmp_path / "in" / "a.cif").write_text(cif(NACL))
    (tmp_path / "in" / "closed" / "b.cif").write_text(cif(IRON))
    tmp_path.chmod(0o755)
    with may_not_search(tmp_path / "in" / "closed"):
        first, second = read_crystals("in")
    assert (first.name, first.crystal is not None) == ("a", True)
    assert (second.name, second.crystal) == ("closed", None)
    assert "Permission denied" in str(second.message)
    with (
        may_not_search(tmp_path / "in"),
        pytest.raises(InputError, match="the folder in cannot be searched: Permission denied"),
    ):
        list(read_crystals("in"))


def test_links_are_followed_and_lead_nowhere_twice(tmp_path: Path) -> None:
    source, other = tmp_path / "in", tmp_path / "other"
    (source / "sub").mkdir(parents=True)
    other.mkdir()
    (source / "sub" / "a.cif").write_text(cif(NACL))
    (other / "b.cif").write_text(cif(IRON))
    (other / "back").symlink_to(tmp_path)
    for name, target in (("beside", other), ("inside", source / "sub"), ("loop", source)):
        (source / name).symlink_to(target)
    (source / "gone.cif").symlink_to(tmp_path / "nowhere.cif")
    found = [(item.name, item.crystal is not None) for item in read_crystals(source)]
    assert found == [("gone.cif", False), ("beside/b", True), ("sub/a", True)]


@each_table
def test_the_rows_of_a_table_are_counted_without_reading_it(kind: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind)
    for where in ({}, {"held": "False"}, {"held": "maybe"}):
        # A JSON file is loaded whole, so that counting would be reading.
        expected = None if kind == "json" else len(list(pieces(path, where)))
        assert estimate_size(path, where) == expected


def test_files_of_one_structure_are_counted(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.cif").write_text(cif(NACL))
    table(tmp_path, "csv")
    assert estimate_size(tmp_path, {}) == len(list(pieces(tmp_path, {}))) == 6
    (tmp_path / "x.extxyz").write_text("")
    assert estimate_size(tmp_path, {}) is None


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="not an ASE database"):
        read_crystal(path)
    assert path.read_bytes() == before, "ASE would have written its tables into it"


def test_a_broken_row_of_a_database_does_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for crystal in (NACL, IRON, QUARTZ):
        atoms = Atoms(crystal.symbols, cell=crystal.lattice, scaled_positions=crystal.positions)
        ase.io.write(path, atoms, append=True)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE systems SET positions = x'00' WHERE id = 2")
    first, second, third = read_crystals(path)
    assert first.crystal is not None
    assert third.crystal is not None
    assert "row 2 cannot be read" in str(second.message)


CIF = cif(NACL)
HALF = r"site 1 \(Na1\) is disordered \(occupied by Na 0.5\)"

BAD = {
    "empty.cif": ("", "empty"),
    "letter.cif": ("Dear editor,\n" * 30, "starts with 'Dear editor"),
    "noatoms.cif": (CIF[: CIF.index("  Na  Na1")], "lists no atoms"),
    "disordered.cif": (CIF.replace("0.0  0.0  0.0  1\n", "0.0  0.0  0.0  0.5\n"), HALF),
    "shared.cif": (CIF.replace("Na2  1  0.5  0.5  0.0  1", "Na2  1  0.0  0.0  0.0  1"), "once"),
    "nan.cif": (CIF.replace("0.0  0.0  0.0  1\n", "nan  0.0  0.0  1\n"), "finite"),
    "unknown.cif": (CIF.replace("  Na  Na", "  Xx  Xx"), "'Xx', which is not an element"),
    "vacancy.cif": (CIF.replace("  Na  Na1", "  Vac  Na1"), "'Vac', which is not an element"),
    "hydroxyl.cif": (CIF.replace("  Na  Na1", "  OH  Na1"), "'OH', which is not an element"),
    "formula.cif": (CIF.replace("'Cl Na'", "'Cl Na H2'"), "names H"),
    "flat.cif": (CIF.replace("_cell_length_c   5.64", "_cell_length_c   0.0"), "no volume"),
    "nolength.cif": (CIF.replace("_cell_length_b", "_cell_length_x"), "_cell_length_b"),
    "POSCAR.4": (poscar(NACL).replace("Na Cl\n", ""), "no line says of which elements"),
    "POSCAR.big": (poscar(NACL).replace("4 4\n", "4 99999999999\n"), "its counts add up to"),
    "POSCAR.cut": ("\n".join(poscar(NACL).split("\n")[:14]), "8 atoms, but it ends with line 14"),
    "molecule.xyz": ("2\nno cell\nH 0 0 0\nH 0 0 1\n", "no periodic cell"),
    "short.xyz": ("9\nLattice=\"2 0 0 0 2 0 0 0 2\"\nFe 0 0 0\n", "ends within frame 1"),
    "dummy.xyz": ('1\nLattice="2 0 0 0 2 0 0 0 2"\nX 0 0 0\n', "'0', which is not an element"),
    "x.csv": ("a,b\n1,2\n", "no column holds structures; found 'a', 'b'"),
    "x.json": ('{"a": ', "not valid JSON"),
    "y.json": ('{"a": 1}', "holds no structure"),
    "deep.json": ("[" * 100_000, "not valid JSON"),
    "x.parquet": ("PAR1 is not all it takes", "cannot be read as a Parquet table"),
    "x.zip": ("PK", "not a zip file"),
    "x.cif.gz": ("no gzip", "cannot be unpacked"),
    "notes.txt": ("some notes", "unknown format"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_crystal_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    text, reason = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=reason) as refused:
        read_crystal(tmp_path / name)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "name", ["x.cif", "POSCAR", "x.extxyz", "x.json", "x.csv", "x.parquet", "x.zip", "x", "x.gen"]
)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
def test_ten_megabytes_of_noise_are_refused_at_once(
    name: str, binary: bool, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).bytes(10_000_000)
    if not binary:
        noise = bytes(32 + x % 95 for x in noise[:1_000_000]) * 10
    (tmp_path / name).write_bytes(noise)
    before = time.process_time()
    with pytest.raises(InputError):
        read_crystal(tmp_path / name)
    assert time.process_time() - before < 15


def test_a_cif_that_would_take_hours_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"  Na  Na{i}  1  {i / 99991}  0.1  0.2  1\n" for i in range(20_000))
    (tmp_path / "x.cif").write_text(CIF[: CIF.index("  Na  Na1")] + rows)
    with pytest.raises(InputError, match="20000 sites"):
        read_crystal(tmp_path / "x.cif")


def test_a_transformation_string_is_not_run(tmp_path: Path) -> None:
    # The form of CVE-2024-23346, which ran code through a parser of transformations.
    evil = f'__import__("pathlib").Path("{tmp_path / "ran"}").touch()'
    block = f"_space_group_magn.transform_BNS_Pp_abc  'a,b,[d for d in [{evil}]]; 0,0,0'\n"
    text = CIF.replace("loop_", block + "_space_group_magn.number_BNS  62.448\nloop_", 1)
    (tmp_path / "x.cif").write_text(text)
    for item in _all(tmp_path / "x.cif"):
        assert item is not None
    assert not (tmp_path / "ran").exists()


def _all(path: Path) -> list[object]:
    try:
        return list(read_crystals(path))
    except InputError as error:
        return [error]


def test_read_crystal_wants_exactly_one(tmp_path: Path) -> None:
    (tmp_path / "two.cif").write_text(cif(NACL, "a") + cif(IRON, "b"))
    with pytest.raises(InputError, match="more than one"):
        read_crystal(tmp_path / "two.cif")
    with pytest.raises(InputError, match="no file or folder"):
        read_crystal(tmp_path / "none.cif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        read_crystal(tmp_path / "empty")


def test_the_first_rows_of_mp20_test_are_read_with_their_labels(shared_data: Path) -> None:
    items = list(itertools.islice(read_crystals(shared_data / "mp20_test.parquet"), 300))
    cifs = pq.read_table(shared_data / "mp20_test.parquet", columns=["cif"])["cif"]
    for item, text in zip(items[::10], cifs.slice(0, 300).to_pylist()[::10], strict=True):
        assert item.crystal is not None
        assert_same(item.crystal, Crystal.from_structure(Structure.from_str(text, "cif")), 1e-4)
    assert all(len(item.labels) == 4 and item.crystal is not None for item in items)


@pytest.mark.parametrize(
    ("name", "elements"),
    [("perov5_heat_ref.json.zip", range(1, 6)), ("carbon24_energy_per_atom.json.zip", [1])],
)
def test_the_other_tables_of_cdvae_are_read(name: str, elements: range, shared_data: Path) -> None:
    items = list(itertools.islice(read_crystals(shared_data / name), 100))
    assert all(i.crystal is not None and len(set(i.crystal.symbols)) in elements for i in items)
    chosen = read_crystals(shared_data / name, where={"split": "test"})
    assert next(chosen).name not in {item.name for item in items}


def test_samples_of_published_models_are_read_failures_and_all(shared_data: Path) -> None:
    for path in sorted((shared_data / "peers").glob("metastable_*.csv.gz")):
        items = list(itertools.islice(read_crystals(path), 100))
        assert len(items) == 100
        assert all(item.crystal is not None for item in items), path.name
    items = list(read_crystals(shared_data / "peers" / "llamat2_9046_parsed.csv.gz"))
    assert len(items) == 9046
    broken = [item for item in items if item.crystal is None]
    assert 150 < len(broken) < 400
    assert all(item.message for item in broken)


def test_a_crystal_is_taken_from_whatever_is_one(tmp_path: Path) -> None:
    path = tmp_path / "quartz.cif"
    path.write_text(cif(QUARTZ), encoding="utf-8")
    atoms = Atoms(QUARTZ.numbers, scaled_positions=QUARTZ.positions, cell=QUARTZ.lattice, pbc=True)
    assert as_crystal(QUARTZ) is QUARTZ
    for source in (path, str(path), QUARTZ.structure, atoms):
        assert_same(as_crystal(source), QUARTZ)


def test_what_is_no_crystal_is_named() -> None:
    with pytest.raises(InputError, match="a dict is not a crystal; expected a crystext Crystal"):
        as_crystal({})  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_of_several_columns_of_structures_the_first_with_a_value_counts(
    tmp_path: Path, suffix: str
) -> None:
    table = pd.DataFrame(
        {"name": ["a", "b"], "cif": [cif(NACL), None], "poscar": [poscar(IRON), poscar(IRON)]}
    )
    path = tmp_path / f"x.{suffix}"
    if suffix == "json":
        table.to_json(path, orient="records")
    else:
        getattr(table, f"to_{suffix}")(path, index=False)
    first, second = (item.crystal for item in read_crystals(path))
    assert first is not None
    assert second is not None
    assert (len(first), len(second)) == (len(NACL), len(IRON))


def test_a_cell_of_a_table_with_two_structures_is_refused(tmp_path: Path) -> None:
    two = cif(NACL) + "\n" + cif(IRON)
    pd.DataFrame({"name": ["a", "b"], "cif": [two, cif(NACL)]}).to_csv(tmp_path / "x.csv")
    first, second = read_crystals(tmp_path / "x.csv")
    assert first.crystal is None
    assert "its CIF has 2 structures" in str(first.message)
    assert second.crystal is not None


def test_an_empty_name_and_the_text_of_a_file_are_no_paths() -> None:
    with pytest.raises(InputError, match="empty name"):
        read_crystal("")
    with pytest.raises(InputError, match="expected the path of a file"):
        read_crystal(cif(NACL))
    with pytest.raises(InputError, match="no file or folder xxx"):
        read_crystal("x" * 5000)
