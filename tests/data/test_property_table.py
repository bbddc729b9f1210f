"""Property tables: every cell is a value or is counted, and every row a record or counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crystext.data.property_table import PropertyTable, has_structures, read_property_table
from crystext.data.row_records import TEXT_COLUMNS
from crystext.data.store import write_store
from crystext.errors import InputError, SettingError
from crystext.io.write.cif_text import cif
from crystext.structures.properties import density
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record
from crystext.tasks.representations import SOURCE_TEXTS
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

DATA = Path(__file__).parents[3] / "shared" / "data"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    return write(
        tmp_path / "gaps.csv",
        "material_id,formula,gap (eV),stable\n"
        "mp-1,NaCl,5.0,yes\n"
        "mp-2,NaN,1.25,no\n"
        "mp-3,Fe0.62Ni0.38,,no\n"
        "mp-4,GaAs,Null,\n"
        "mp-5,KCl,inf,yes\n"
        "mp-6,soot,1.0,yes\n",
    )


def test_a_header_gives_name_title_and_unit(gaps: Path) -> None:
    table = read_property_table(gaps)
    assert table.targets["gap"].title == "gap"
    assert table.targets["gap"].unit == "eV"
    assert table.targets["stable"].kind == "boolean"


def test_records_keep_their_formula_and_the_identifier_of_their_row(gaps: Path) -> None:
    table = read_property_table(gaps)
    assert [record.id for record in table.records] == ["mp-1", "mp-2", "mp-3", "mp-5"]
    # NaN is the formula of sodium nitride, not a missing cell.
    assert [record.texts["formula"] for record in table.records][1] == "NaN"
    assert all(x.crystal is None and x.failure is None for x in table.records)


def test_every_row_is_a_record_or_counted_by_reason(gaps: Path) -> None:
    table = read_property_table(gaps)
    assert dict(table.skipped) == {"no value of any target": 1, "not a formula": 1}
    assert len(table) + sum(table.skipped.values()) == 6
    assert table.missing["gap"] == {"an empty cell": 1, "'Null'": 1, "infinite": 1}
    assert "1 cell of formula without a formula: 'soot'" in table.notes


def test_values_are_nan_where_a_cell_is_missing(gaps: Path) -> None:
    table = read_property_table(gaps)
    np.testing.assert_array_equal(table.values("gap"), [5.0, 1.25, np.nan, np.nan])
    np.testing.assert_array_equal(table.values("stable"), [1, 0, 0, 1])


def test_a_single_target_leaves_out_rows_without_it_and_says_why(gaps: Path) -> None:
    table = read_property_table(gaps, targets=["gap"])
    assert [record.id for record in table.records] == ["mp-1", "mp-2"]
    assert table.skipped["gap: infinite"] == 1


def test_without_targets_rows_are_kept_for_predicting(gaps: Path) -> None:
    table = read_property_table(gaps, targets=[])
    assert len(table) == 5
    assert not table.targets


def test_rows_that_cannot_be_read_can_stay_as_failures(gaps: Path) -> None:
    table = read_property_table(gaps, targets=[], keep_failures=True)
    assert [record.id for record in table.records] == [f"mp-{i}" for i in range(1, 7)]
    assert [record.message for record in table.records] == [None] * 5 + ["not a formula"]
    assert not table.skipped


def test_selected_records_keep_their_order(gaps: Path) -> None:
    table = read_property_table(gaps)
    assert [x.id for x in table.select([2, 0]).records] == ["mp-3", "mp-1"]
    assert [x.id for x in table.select(table.values("gap") > 2).records] == ["mp-1"]
    assert isinstance(table.select([]), PropertyTable)


def test_the_representations_of_columns_are_those_of_records() -> None:
    assert tuple(TEXT_COLUMNS) == SOURCE_TEXTS


def test_all_layouts_hold_the_same_table(gaps: Path, tmp_path: Path) -> None:
    expected = read_property_table(gaps)
    frame = pd.read_csv(gaps, dtype=str, keep_default_na=False)
    with gzip.open(tmp_path / "gaps.csv.gz", "wt") as file:
        file.write(gaps.read_text())
    frame.to_parquet(tmp_path / "gaps.parquet")
    frame.to_csv(tmp_path / "gaps.tsv", sep="\t", index=False)
    frame.to_csv(tmp_path / "semicolons.csv", sep=";", index=False)
    for layout in ("records", "columns", "split", "list"):
        value = (
            frame.to_dict("list") if layout == "list" else json.loads(frame.to_json(orient=layout))
        )
        (tmp_path / f"{layout}.json").write_text(json.dumps(value))
    frame.to_json(tmp_path / "gaps.jsonl", orient="records", lines=True)
    others = [x for x in tmp_path.iterdir() if x != gaps]
    assert len(others) == 9
    for path in others:
        table = read_property_table(path)
        assert table.targets == expected.targets, path.name
        assert table.skipped == expected.skipped, path.name
        assert [x.labels for x in table.records] == [x.labels for x in expected.records]
        assert [x.texts for x in table.records] == [x.texts for x in expected.records]


def test_numbers_and_booleans_of_parquet_keep_their_kind(tmp_path: Path) -> None:
    frame = pd.DataFrame({"formula": ["NaCl", "KCl"], "x": [1.5, None], "metal": [True, False]})
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_property_table(tmp_path / "a.parquet")
    assert [x.kind for x in table.targets.values()] == ["number", "boolean"]
    assert table.records[0].labels == {"x": 1.5, "metal": True}


def test_a_known_property_keeps_its_schema_under_an_alias(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "formula,energy_above_hull,density\nNaCl,0.1,2.2\nKCl,0,2\n")
    table = read_property_table(path)
    assert table.targets == {
        "e_above_hull": PROPERTIES["e_above_hull"],
        "density": PROPERTIES["density"],
    }
    assert read_property_table(path, targets=["e_above_hull"]).values("e_above_hull")[0] == 0.1


def test_a_known_property_in_another_unit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "formula,band_gap (meV)\nNaCl,5000\n")
    with pytest.raises(InputError, match=r"in meV; band gap is expected in eV"):
        read_property_table(path)


def test_the_users_property_decides_kind_and_range(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "formula,n\nNaCl,0\nKCl,1\nLiF,-3\n")
    table = read_property_table(path, targets={"n": Property("n", "count", minimum=0, decimals=0)})
    assert table.targets["n"].kind == "number"
    assert table.skipped == {"n: out of range or not whole": 1}


@pytest.mark.parametrize(
    ("words", "yes"),
    [
        (("Direct", "Indirect"), "Direct"),
        (("no", "yes"), "yes"),
        (("metal", "nonmetal"), "metal"),
        (("unstable", "stable"), "stable"),
        (("False", "TRUE"), "TRUE"),
        (("p", "n"), "p"),
    ],
)
def test_two_words_are_a_boolean(words: tuple[str, str], yes: str, tmp_path: Path) -> None:
    rows = "".join(f"NaCl,{word}\n" for word in [*words, "Null"])
    table = read_property_table(write(tmp_path / "a.csv", "formula,kind\n" + rows))
    assert table.targets["kind"].kind == "boolean"
    assert [x.labels["kind"] for x in table.records] == [word == yes for word in words]
    is_plain = yes.lower() in ("yes", "true")
    assert is_plain or any(f"{yes.lower()!r} is yes" in note for note in table.notes)


def test_texts_names_and_constant_words_are_no_targets(tmp_path: Path) -> None:
    lines = [f"mp-{i},NaCl,{i},text number {i},DFT" for i in range(30)]
    path = write(tmp_path / "a.csv", "\n".join(["id,formula,x,comment,source", *lines]))
    table = read_property_table(path)
    assert list(table.targets) == ["x"]
    assert "columns that are not targets: comment, source" in table.notes
    with pytest.raises(InputError, match="expected numbers, or two classes"):
        read_property_table(path, targets=["comment"])


def test_cells_with_one_unit_are_read_and_cells_with_several_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", "formula,gap\nNaCl,5.0 eV\nKCl,4\n")
    table = read_property_table(one)
    assert table.targets["gap"].unit == "eV"
    assert table.values("gap").tolist() == [5.0, 4.0]
    assert table.notes == ("gap: 1 cells without a unit are read as eV",)
    two = write(tmp_path / "two.csv", "formula,gap\nNaCl,5.0 eV\nKCl,4000 meV\n")
    with pytest.raises(InputError, match=r"different units, such as '5\.0 eV' and '4000 meV'"):
        read_property_table(two)
    other = write(tmp_path / "other.csv", "formula,gap (eV)\nNaCl,5.0 meV\n")
    with pytest.raises(InputError, match="expected eV"):
        read_property_table(other)


@pytest.mark.parametrize("header", ["gap (PBE)", "log10(K_VRH)", "log10 (GPa)"])
def test_brackets_without_a_unit_belong_to_the_name(header: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"formula,{header}\nNaCl,5.0\n")
    assert read_property_table(path).targets[header].unit == ""


@pytest.mark.parametrize(
    "unit", ["W m^-1 K^-1", "eV/atom", "g/cm^3", "GPa", "10^-3 S/m", "%", "Å^3"]
)
def test_units_are_recognised(unit: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"formula,x [{unit}]\nNaCl,5.0\n")
    assert read_property_table(path).targets["x"].unit == unit


def test_a_column_that_holds_no_formula_is_refused_with_examples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "composition,x\nwater,1\nsalt,2\nsand,3\nsoot,4\n")
    with pytest.raises(InputError, match=r"'water', 'salt', 'sand', \.\.\."):
        read_property_table(path)


def test_a_table_without_texts_lists_the_columns_that_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Alloy,x\nFeNi,1\n")
    with pytest.raises(InputError, match=r"no column holds formulas.*'Alloy'.*expected one of"):
        read_property_table(path)
    table = read_property_table(path, columns={"formula": "Alloy"})
    assert table.records[0].texts == {"formula": "FeNi"}
    with pytest.raises(SettingError, match=r"Did you mean 'formula'"):
        read_property_table(path, columns={"formulas": "Alloy"})
    with pytest.raises(SettingError, match=r"no column 'aloy'.*Did you mean 'Alloy'"):
        read_property_table(path, columns={"formula": "aloy"})
    with pytest.raises(SettingError, match=r"no column 'y'"):
        read_property_table(path, columns={"formula": "Alloy"}, targets=["y"])


def test_smiles_keep_their_backslashes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "smiles,x\nCl/C(=C\\n1cncn1)c1ccc(Cl)cc1Cl,1\n")
    assert read_property_table(path).records[0].texts["smiles"].startswith("Cl/C(=C\\n1")


def test_only_rows_that_meet_the_conditions_are_read(gaps: Path) -> None:
    table = read_property_table(gaps, where={"stable": "no"})
    assert [x.id for x in table.records] == ["mp-2", "mp-3"]
    with pytest.raises(InputError, match=r"no row of .* has stable=maybe"):
        read_property_table(gaps, where={"stable": "maybe"})
    with pytest.raises(SettingError, match=r"no column 'stabel'"):
        read_property_table(gaps, where={"stabel": "no"})


def test_structures_of_a_table_become_crystals_beside_their_text(tmp_path: Path) -> None:
    rows = [{"cif": cif(x), "x": i} for i, x in enumerate(EXAMPLE_CRYSTALS.values())]
    (tmp_path / "a.json").write_text(json.dumps([*rows, {"cif": "data_", "x": 1}]))
    table = read_property_table(tmp_path / "a.json")
    assert [x.crystal is not None for x in table.records] == [*([True] * len(rows)), False]
    assert table.records[0].texts["cif"] == rows[0]["cif"]
    assert any("1 structure cannot be read" in note for note in table.notes)
    quick = read_property_table(tmp_path / "a.json", crystals=False)
    assert all(x.crystal is None and "cif" in x.texts for x in quick.records)


def test_tables_of_structures_are_told_from_tables_of_texts(gaps: Path, tmp_path: Path) -> None:
    assert not has_structures(gaps)
    assert has_structures(write(tmp_path / "a.csv", "id,cif\na,data_\n"))
    assert has_structures(write(tmp_path / "b.csv", "lengths,angles,numbers,positions\n1,1,1,1\n"))
    assert has_structures(write(tmp_path / "salt.cif", cif(NACL)))
    with pytest.raises(InputError, match="no file or folder"):
        has_structures(tmp_path / "missing.csv")


def test_stores_and_folders_have_the_labels_of_known_properties(tmp_path: Path) -> None:
    records = [Record(x, {"band_gap": 1.5}, name) for name, x in EXAMPLE_CRYSTALS.items()]
    write_store(tmp_path / "store", {"train": records, "test": records[:1]})
    table = read_property_table(tmp_path / "store")
    assert list(table.targets) == ["band_gap"]
    assert [x.split for x in table.records] == ["train"] * len(records) + ["test"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "salt.cif").write_text(cif(NACL))
    table = read_property_table(tmp_path / "folder", targets=["density"])
    assert table.values("density")[0] == pytest.approx(density(NACL))
    with pytest.raises(InputError, match=r"no crystal of .* has a value of band_gap"):
        read_property_table(tmp_path / "folder", targets=["band_gap"])


@pytest.mark.parametrize(
    "text", ["", "\n", "formula,x\n", '"formula,x\nNaCl,1\n', "formula,x\nNaCl,1,2,3\n"]
)
def test_broken_tables_are_refused_in_words(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_property_table(write(tmp_path / "a.csv", text))
    assert "Error" not in str(error.value)


def test_published_tables_are_read_whole() -> None:
    if not DATA.exists():
        pytest.skip("the tables of ../shared/data are not here")
    for path, n, kind in (
        ("compositions/expt_gap.csv", 4604, "number"),
        ("compositions/glass.csv", 5680, "boolean"),
        ("compositions/steels_yield.csv", 312, "number"),
        ("molecules/lipo.csv", 4200, "number"),
        ("molecules/bace.csv", 1513, "boolean"),
    ):
        table = read_property_table(DATA / path)
        assert (len(table), dict(table.skipped)) == (n, {}), path
        assert [x.kind for x in table.targets.values()] == [kind]
