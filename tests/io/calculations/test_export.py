"""Order, tags, index and problems of an export."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core.structure import Structure

from crystext.errors import InputError, RunError, SettingError
from crystext.io.calculations.export import Export, export_candidates
from crystext.io.read import read_crystal
from crystext.io.write import cif, write_crystals
from crystext.structures.crystal import Crystal
from crystext.text import encode
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ, SRTIO3, crystal

SUPERCELL = Crystal.from_structure(NACL.structure * (2, 1, 1))


def index_of(export: Export) -> list[dict[str, str]]:
    with (export.out / "export_index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def formulas(export: Export) -> list[str]:
    return [row["formula"] for row in index_of(export)]


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Salt, titanate and quartz, ranked 3, 1 and 2."""
    rows = zip(("salt", "titanate", "quartz"), (NACL, SRTIO3, QUARTZ), (3, 1, 2), strict=True)
    return write_table(
        tmp_path / "candidates.csv",
        [
            {"rank": rank, "name": name, "cif": cif(x), "e_above_hull": 0.1 / rank, "seed": 7}
            for name, x, rank in rows
        ],
    )


def test_candidates_are_ordered_by_their_rank(table: Path, tmp_path: Path) -> None:
    export = export_candidates(table, "extxyz", tmp_path / "out")
    assert formulas(export) == ["SrTiO3", "SiO2", "NaCl"]
    assert [row["place"] for row in index_of(export)] == ["1", "2", "3"]
    assert [row["source_name"] for row in index_of(export)] == ["titanate", "quartz", "salt"]


@pytest.mark.parametrize(
    ("rank_by", "expected"),
    [("e_above_hull", ["NaCl", "SiO2", "SrTiO3"]), ("-e_above_hull", ["SrTiO3", "SiO2", "NaCl"])],
)
def test_another_column_ranks(
    table: Path, tmp_path: Path, rank_by: str, expected: list[str]
) -> None:
    export = export_candidates(table, "extxyz", tmp_path / "out", rank_by=rank_by, n=2)
    assert formulas(export) == expected[:2]


def test_a_missing_column_is_told(table: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no column 'e_above_hul'.*Did you mean 'e_above_hull'"):
        export_candidates(table, "extxyz", tmp_path / "out", rank_by="e_above_hul")
    assert not (tmp_path / "out").exists()


def test_without_a_rank_the_order_is_that_of_the_source(tmp_path: Path) -> None:
    export = export_candidates([QUARTZ, IRON, NACL], "cif", tmp_path / "out")
    assert formulas(export) == ["SiO2", "Fe", "NaCl"]
    files = sorted(path.name for path in (tmp_path / "out").glob("*.cif"))
    assert files == ["001-SiO2.cif", "002-Fe.cif", "003-NaCl.cif"]


def test_values_of_the_source_are_tags(table: Path, tmp_path: Path) -> None:
    export = export_candidates(table, "extxyz", tmp_path / "out")
    row = index_of(export)[0]
    assert row["source"] == str(table)
    assert (row["index"], row["rank"], row["seed"]) == ("1", "1", "7")
    assert float(row["e_above_hull"]) == 0.1
    assert "rank=1" in (tmp_path / "out" / "candidates.extxyz").read_text()


def test_a_sample_keeps_its_run_index_and_seed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    texts = ["5.64 5.64", encode(NACL), encode(QUARTZ)]
    lines = [
        {"index": i, "text": text, "failure": "TRUNCATED" if i == 0 else None,
         "log_probability": -float(i)}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    (run / "attempts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (run / "settings.json").write_text(json.dumps({"seed": 11, "model": "mp20", "other": [1]}))
    export = export_candidates(run, "optimade", tmp_path / "out", rank_by="log_probability")
    entries = json.loads((tmp_path / "out" / "structures.json").read_text())["data"]
    assert formulas(export) == ["SiO2", "NaCl"]
    tags = entries[0]["attributes"]
    found = {key.removeprefix("_crystext_"): x for key, x in tags.items() if key[0] == "_"}
    assert found == {
        "source": str(run), "index": 2, "source_name": "2", "seed": 11, "model": "mp20",
        "log_probability": -2.0, "place": 1,
    }  # fmt: skip


def test_a_table_may_name_files_beside_it(tmp_path: Path) -> None:
    write_crystals([("a", NACL), ("b", QUARTZ)], tmp_path / "found" / "cif", "cif")
    rows = [{"rank": 2, "file": "cif/a.cif"}, {"rank": 1, "file": "cif/b.cif"}]
    write_table(tmp_path / "found" / "candidates.csv", rows)
    export = export_candidates(tmp_path / "found", "cif", tmp_path / "out")
    assert formulas(export) == ["SiO2", "NaCl"]


def test_a_table_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    write_crystals([("a", NACL)], tmp_path / "secret", "cif")
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "b.cif").write_text(cif(QUARTZ))
    rows = [
        {"file": "../secret/a.cif"},
        {"file": str(tmp_path / "secret/a.cif")},
        {"file": "b.cif"},
    ]
    table = write_table(tmp_path / "found" / "candidates.csv", rows)
    export = export_candidates(table, "cif", tmp_path / "out")
    assert [bool(row.problem) for row in export.candidates] == [True, True, False]
    assert "expected a file in the folder of the table" in export.problems[0].problem


def test_energies_of_hull_order_and_describe(tmp_path: Path) -> None:
    write_crystals([("a", NACL), ("b", QUARTZ), ("c", IRON)], tmp_path / "cifs", "cif")
    energies = [
        {"rank": 1, "index": 1, "name": "b", "e_above_hull_ev_per_atom": -0.01},
        {"rank": 2, "index": 0, "name": "a", "e_above_hull_ev_per_atom": 0.2},
    ]
    table = write_table(tmp_path / "energies.csv", energies)
    export = export_candidates(tmp_path / "cifs", "cif", tmp_path / "out", energies=table)
    assert formulas(export) == ["SiO2", "NaCl", "Fe"]
    assert index_of(export)[0]["e_above_hull_ev_per_atom"] == "-0.01"
    other = write_table(tmp_path / "other.csv", [{"rank": 1, "index": 0, "name": "z"}])
    with pytest.raises(SettingError, match="the table that crystext hull made of this source"):
        export_candidates(tmp_path / "cifs", "cif", tmp_path / "out2", energies=other)


def test_a_disordered_structure_is_a_problem_and_the_others_are_written(tmp_path: Path) -> None:
    mixed = Structure(NACL.structure.lattice, [{"Na": 0.5, "K": 0.5}, "Cl"], [[0] * 3, [0.5] * 3])
    mixed.to(filename=str(tmp_path / "mixed.cif"))
    write_crystals([("salt", NACL)], tmp_path / "salt.cif")
    for name in ("mixed.cif", "salt.cif"):
        (tmp_path / "cifs").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "cifs" / name)
    export = export_candidates(tmp_path / "cifs", "vasp", tmp_path / "out")
    rows = index_of(export)
    assert len(rows) == 2
    assert "occupied" in rows[0]["problem"]
    assert rows[0]["path"] == ""
    assert rows[1]["path"] == "002-NaCl"
    assert "not written" in (tmp_path / "out" / "README.md").read_text()


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    cerium = crystal([3.0] * 3, [60] * 3, [("Ce", [0, 0, 0]), ("N", [0.5, 0.5, 0.5])])
    with pytest.raises(InputError, match="BASIS_MOLOPT of CP2K has no DZVP-MOLOPT-SR-GTH for Ce"):
        export_candidates([cerium], "cp2k", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(RunError, match="holds files already"):
        export_candidates([NACL], "cif", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert export_candidates([NACL], "cif", tmp_path / "empty").written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "vaps"}, r"no export target is called 'vaps'.*Did you mean 'vasp'\?"),
        ({"to": "vasp", "input_set": "MPRelaxset"}, r"no input set.*Did you mean 'MPRelaxSet'\?"),
        ({"to": "cif", "input_set": "MPRelaxSet"}, "cif has no input sets"),
        ({"to": "cif", "cell": "primitve"}, r"no cell.*Did you mean 'primitive'\?"),
        ({"to": "vasp", "symmetrized": True}, "cannot hold symmetry operations"),
    ],
)
def test_bad_options_are_told_before_anything_is_read(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        export_candidates(tmp_path / "nowhere", out=tmp_path / "out", **options)


def test_cells_are_reduced_or_kept(tmp_path: Path) -> None:
    for cell, n_atoms in (("as-read", 16), ("primitive", 2), ("conventional", 8)):
        export = export_candidates([SUPERCELL], "cif", tmp_path / cell, cell=cell)
        assert index_of(export)[0]["n_atoms"] == str(n_atoms)
        assert len(read_crystal(tmp_path / cell / "001-NaCl.cif")) == n_atoms
        assert index_of(export)[0]["space_group"] == "225"


def test_the_same_crystals_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_candidates(EXAMPLE_CRYSTALS.values(), "aims", tmp_path / name)
    first = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    for path in first:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_values_of_others_stay_values(tmp_path: Path) -> None:
    """Quotes, markup, control characters and long texts of a table break no file."""
    nasty = 'a\' _cell_length_a 1\n"b" <script>é'
    row = {"name": nasty, "cif": cif(NACL), "note": nasty, "long": "x" * 999, "energy": "-1.5",
           "Lattice": "1 0 0"}  # fmt: skip
    table = write_table(tmp_path / "rows.csv", [row])
    for target in ("cif", "extxyz", "optimade", "vasp"):
        export = export_candidates(table, target, tmp_path / target)
        assert formulas(export) == ["NaCl"]
        assert "<script>" not in (tmp_path / target / "README.md").read_text().replace("\\<", "")
        tags = export.candidates[0].tags
        assert "long" not in tags
        assert tags["source_energy"] == -1.5
    assert read_crystal(tmp_path / "cif" / "001-NaCl.cif").symbols == NACL.symbols
    assert read_crystal(tmp_path / "extxyz" / "candidates.extxyz").symbols == NACL.symbols
