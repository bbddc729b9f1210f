"""The grammar of CIF: names in any case, text fields, loops, and what breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.io.read.cif import cif_blocks, looks_like_cif, read_cif, read_partial_cif
from tests.io.read.cif_texts import (
    CSCL,
    GENERAL,
    HM,
    NACL,
    P1,
    SUM,
    atoms,
    cif_text,
    notes,
    refusal,
)

TEXT = cif_text(CSCL, names=P1)


def read_file(folder: Path, text: str) -> list[int | str]:
    """Return the number of atoms of each structure of a file, or why there is none."""
    (folder / "x.cif").write_text(text, encoding="utf-8")
    try:
        items = list(read_crystals(folder / "x.cif"))
    except InputError as error:
        return [str(error)]
    return [len(item.crystal) if item.crystal else str(item.message) for item in items]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.upper().replace("CS1", "Cs1").replace("CL1", "Cl1"),
        TEXT.replace("loop_", "LOOP_").replace("data_", "DATA_"),
        TEXT.replace("loop_", "Loop_").replace("data_", "Data_"),
        TEXT.replace("_cell_", "_Cell_").replace("fract_x", "Fract_X"),
        TEXT.replace("_cell_", "_cell.").replace("_atom_site_", "_atom_site."),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(" ", "\t"),
        TEXT.replace("\n", "   \n\n"),
        TEXT.replace("Cs1 Cs 0", "Cs1\nCs\n0 # a comment\n"),
        "# first\n" + TEXT,
        "#\\#CIF_1.1\n" + TEXT,
        "#\\#CIF_2.0\n" + TEXT,
        "\ufeff" + TEXT,
        "  " + TEXT,
        TEXT + "#END\n",
        TEXT + "\x1a",
        TEXT.rstrip(),
    ],
)
def test_a_cif_is_read_however_it_is_written(text: str, tmp_path: Path) -> None:
    assert read_file(tmp_path, text) == [2]


@pytest.mark.parametrize(
    "field",
    [
        "_publ_section_comment\n;\nThe intensities of\ndata_collection were kept.\n;\n",
        "_publ_section_comment\n;data_x\n_atom_site_label\n;\n",
        "_refine_special_details\n;\ndata_reduction, _atom_site_ loops left\n;\n",
        "_refine_special_details\n; loop_\n_atom_site_fract_x\n1 2 3\n;\n",
        "_publ_author_name 'O'Brien, J.'\n",
        "_journal_name_full \"Acta 'B'\"\n",
        "_note 'data_y'\n",
        "_publ_author_name\n;\nM\u00fcller, \u00c5\n;\n",
        "_note M\u00fcller\n",
        "_a.b.c [1,2]\n_note '''text'''\n",
        "save_frame\n_x 1\nsave_\n",
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_stands_beside_the_crystal_does_not_matter(
    field: str, place: int, tmp_path: Path
) -> None:
    first, rest = TEXT.split("\n", 1)
    text = f"{first}\n{field}{rest}" if place == 0 else TEXT + field
    assert read_file(tmp_path, text) == [2]


def test_lines_may_end_as_other_systems_end_them() -> None:
    text = cif_text(GENERAL, "monoclinic", operations=("x, y, z", "-x, -y, -z")).replace("'", "")
    for end in ("\r\n", "\r"):
        assert atoms(text.replace("\n", end)) == "Na2Cl2"


def test_a_category_of_one_row_does_without_a_loop() -> None:
    names = {**P1, "_atom_site_label": "Po1", "_atom_site_type_symbol": "Po"}
    names |= {f"_atom_site_fract_{axis}": "0" for axis in "xyz"}
    text = cif_text((), names=names)
    assert atoms(text[: text.index("loop_")]) == "Po"
    one = cif_text(CSCL, names={"_symmetry_equiv_pos_as_xyz": "x,y,z"})
    assert (atoms(one), notes(one)) == ("CsCl", "")


def test_a_loop_that_stands_there_twice_counts_once_if_it_is_the_same() -> None:
    loop = TEXT[TEXT.index("loop_") :]
    assert atoms(TEXT + loop) == "CsCl"
    assert "they differ" in refusal(TEXT + loop.replace("0.5", "0.25"))
    assert "they differ" in refusal(TEXT + loop.replace("0.5", "0.25"), lenient=True)


def test_a_name_that_stands_there_twice_counts_once_if_it_says_the_same() -> None:
    assert atoms(TEXT + "_cell_length_a 5.64\n") == "CsCl"
    assert atoms(TEXT + "_cell_length_a ?\n_chemical_formula_sum ''\n") == "CsCl"
    found = refusal(TEXT + "_cell_length_a 5.65\n")
    assert "_cell_length_a more than once, as '5.64' and as '5.65'" in found
    assert atoms(TEXT + "_audit_author_name x\n_audit_author_name y\n") == "CsCl"


@pytest.mark.parametrize("value", ["?", "."])
def test_unknown_values_in_columns_that_are_not_needed_do_not_matter(value: str) -> None:
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    for name in ("attached_hydrogens", "U_iso_or_equiv", "symmetry_multiplicity", "calc_flag",
                 "disorder_group", "Wyckoff_symbol"):  # fmt: skip
        rows = [f"{row} {value}" for row in CSCL]
        assert atoms(cif_text(rows, names=P1, columns=(*columns, name))) == "CsCl"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"P 21/c"', "P 21/c"),
        ('"P 21/c"', "'P 21/c"),
        ('"P 21/c"', '"P 21/c'),
        ("data_t\n", ""),
        ("data_t\n", "data_my crystal\n"),
        ("data_t\n", "data_\n"),
        ("data_t\n", "data_t\n_chemical_formula_sum Na Cl\n"),
        ("data_t\n", "data_t\n_chemical_name_common sodium chloride, made up\n"),
        ("data_t\n", "data_t\n_note it's broken off'\n"),
        ("data_t\n", "data_t\n_note\n"),
        ("0.113", "0.113(4)"),
        ("-0.2", "\u22120.2"),
    ],
)
def test_broken_grammar_with_one_reading_is_mended(old: str, new: str) -> None:
    text = cif_text(GENERAL, "monoclinic", {HM: "P 21/c"})
    assert atoms(text.replace(old, new)) == "Na4Cl4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cif_text(["Na1 Na 0 0"], names=P1), "do not fill its columns"),
        (cif_text(NACL, names=P1) + "stray words\n", "do not fill its columns"),
        (cif_text(NACL, names=P1).replace("data_t\n", "data_t\nstray words\n"), "line 2"),
        (cif_text(NACL, names=P1) + "_note\n;\nno end", "text field that does not end"),
        (cif_text((), names=P1), "lists no atoms"),
        ("data_x\n_cell_length_a 3\n", "lacks _cell_length_b"),
    ],
)
def test_broken_grammar_without_one_reading_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)
    assert message in refusal(text, lenient=True)


def test_blocks_are_found_outside_of_text_fields_and_need_sites() -> None:
    field = "_publ_text\n;\ndata_inner\n_atom_site_label\n;\n"
    text = f"data_global\n{field}{TEXT}{field}{TEXT.replace('data_t', 'DATA_U')}data_end\n_x 1\n"
    assert [name for name, _ in cif_blocks(text)] == ["t", "U"]
    for _, block in cif_blocks(text):
        assert atoms(block) == "CsCl"
    assert looks_like_cif(TEXT)
    assert looks_like_cif(TEXT.upper())
    assert not looks_like_cif("a text on _cell_length_a and _atom_site_label")


def test_every_block_is_a_structure_and_a_broken_one_spoils_no_other(tmp_path: Path) -> None:
    broken = TEXT.replace("Cl1 Cl 0.5", "Cl1 Cl")
    first, second, third = read_file(tmp_path, TEXT + broken + TEXT)
    assert (first, third) == (2, 2)
    assert "columns" in str(second)


def test_a_partly_known_cif_keeps_its_order_and_a_whole_one_is_none() -> None:
    assert read_partial_cif(TEXT) is None
    rows = ("M1 ? 0 0 0", "O1 O 0.5 ? .", "Cl1 Cl 1/4 0.25(1) 0")
    found = read_partial_cif(
        cif_text(rows, names={**P1, SUM: "Na O Cl"}).replace("_c 5.64", "_c ?")
    )
    assert found is not None
    assert found.numbers.tolist() == [0, 8, 17]
    assert found.labels == ("M1", "O1", "Cl1")
    assert found.positions[2].tolist() == [0.25, 0.25, 0]
    for names in ({HM: "F m -3 m"}, {"_space_group_IT_number": 225}):
        in_group = read_partial_cif(cif_text(rows, names=names))
        assert in_group is not None
        assert [len(operations) for operations in in_group.symmetry] == [192]
    with pytest.raises(InputError, match="F 9 9 9"):
        read_partial_cif(cif_text(rows, names={HM: "F 9 9 9"}))


def test_megabytes_of_blanks_and_quotes_take_no_time() -> None:
    for filler in ("'" * 400_000, "x, " * 150_000, " " * 400_000 + ",x,y", "_x\n" * 100_000):
        text = TEXT.replace("data_t\n", f"data_t\n_note {filler}\n")
        refusal(text)
    assert read_cif(TEXT).crystal.symbols == ["Cs", "Cl"]


def test_a_comment_behind_words_without_quotes_is_none_of_them() -> None:
    text = cif_text(NACL).replace("data_t\n", f"data_t\n{HM} F m -3 m # rock salt\n")
    assert atoms(text) == "Na4Cl4"
