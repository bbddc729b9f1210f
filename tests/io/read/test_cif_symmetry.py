"""Symmetry: every common way of naming a group is known, and none that is not becomes P1."""

from __future__ import annotations

from collections.abc import Mapping

import gemmi
import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.io.read.cif import read_cif
from crystext.io.read.cif.operations import (
    Operations,
    operations_of_hall,
    operations_of_list,
    operations_of_setting,
)
from crystext.io.read.cif.symbols import settings_of_choice, settings_of_symbol
from crystext.structures.crystal import Crystal
from tests.io.read.cif_texts import (
    CSCL,
    GENERAL,
    HM,
    NACL,
    P1,
    SUM,
    Z,
    atoms,
    cif_text,
    notes,
    refusal,
)

CODE = "_space_group_IT_coordinate_system_code"
NUMBER = "_space_group_IT_number"
HALL = "_symmetry_space_group_name_Hall"
CENTRINGS = ("x,y,z", "x+1/2,y+1/2,z", "x+1/2,y,z+1/2", "x,y+1/2,z+1/2")


def triplets(hall: str) -> list[str]:
    return [operation.triplet() for operation in gemmi.symops_from_hall(hall)]


@pytest.mark.parametrize(
    "symbol",
    [
        *("F m -3 m", "F m 3 m", "Fm-3m", "Fm3m", "FM3M", "f m 3 m", "F_m_-3_m", "F m -3 m :1"),
        *("F 4/m -3 2/m", "F 4/m 3 2/m", "F 4 / m -3 2 / m", "F m -3 m (225)", "Fm-3m (No. 225)"),
        *("F m \\bar{3} m", "F m \u22123 m", "F m 3\u0304 m", "$Fm\\bar 3m$"),
    ],
)
def test_spellings_of_one_group_are_that_group(symbol: str) -> None:
    text = cif_text(NACL, names={HM: symbol})
    assert atoms(text) == "Na4Cl4"
    assert notes(text) == ""


@pytest.mark.parametrize(
    ("symbol", "cell", "expected"),
    [
        *((s, "monoclinic", 4) for s in ("P2(1)/c", "P 21/c", "P2_1/c", "P 1 21/c 1", "P2_{1}/c")),
        *((s, "monoclinic", 4) for s in ("P 2(1)/n", "P 1 21/a 1", "P 21/a", "P21/c:b1")),
        *((s, "unique c", 4) for s in ("P 1 1 21/b", "P 21/b", "P 21/a", "P 21/n")),
        *((s, "orthorhombic", 16) for s in ("C m c a", "C m c e", "Cmca", "B m a b", "A b m a")),
        *((s, "orthorhombic", 8) for s in ("A b m 2", "A e m 2", "P 21/n 21/m 21/a", "P b n m")),
        *((s, "orthorhombic", 4) for s in ("P 2(1) 2(1) 2(1)", "P212121", "P 2_1 2_1 2_1")),
        *((s, "hexagonal", 24) for s in ("P 63/m m c", "P6_3/mmc", "P 6_{3}/m m c", "P63/MMC")),
        *((s, "cubic", 24) for s in ("P a 3", "Pa-3", "P a -3", "P 21/a -3")),
        *((s, "cubic", 96) for s in ("I a 3 d", "Ia-3d", "I 41/a -3 2/d")),
        *((s, "triclinic", 2) for s in ("P -1", "P-1", "p -1", "P 1\u0304")),
    ],
)
def test_old_full_and_short_symbols_make_the_atoms_of_their_group(
    symbol: str, cell: str, expected: int
) -> None:
    text = cif_text(GENERAL, cell, {HM: symbol}, scale=5)
    assert len(read_cif(text).crystal) == 2 * expected


@pytest.mark.parametrize(
    "names",
    [
        {HALL: "-F 4 2 3"},
        {HALL: "-F_4_2_3"},
        {HALL: "F m -3 m"},
        {"_space_group_name_H-M_ref": "F m -3 m"},
        {"_space_group_name_H-M_alt": "F m -3 m", HM: "?"},
        {"_space_group_name_H-M_full": "F 4/m -3 2/m"},
        {"_space_group.name_H-M_alt": "F m -3 m"},
        {"_symmetry.space_group_name_H-M": "F m -3 m"},
        {NUMBER: 225},
        {"_symmetry_Int_Tables_number": "225", HM: "?"},
        {"_space_group_name_Schoenflies": "Oh^5"},
        {"_space_group_name_Schoenflies": "O_h.5"},
    ],
)
def test_a_group_is_known_by_any_one_of_its_names(names: Mapping[str, object]) -> None:
    assert atoms(cif_text(NACL, names=names)) == "Na4Cl4"


@pytest.mark.parametrize(
    "names",
    [
        {HM: "F 9 9 9"},
        {HM: "unknown"},
        {HM: "F m -3 q"},
        {NUMBER: 999},
        {NUMBER: 0},
        {HALL: "bogus"},
        {"_space_group_name_Schoenflies": "O9"},
        {"_space_group_name_H-M_ref": "F 9 9 9"},
        {"_space_group_magn.name_BNS": "P_b n m a"},
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_group_that_is_named_and_not_known_is_never_p1(
    names: Mapping[str, object], lenient: bool
) -> None:
    assert "expected" in refusal(cif_text(NACL, names=names), lenient=lenient)


def test_a_file_without_symmetry_is_p1_with_a_note() -> None:
    assert atoms(cif_text(CSCL)) == "CsCl"
    assert "says nothing about symmetry" in notes(cif_text(CSCL))
    for system in ("triclinic", "?"):
        assert atoms(cif_text(CSCL, names={"_symmetry_cell_setting": system})) == "CsCl"


def test_a_crystal_system_without_a_group_says_that_something_is_missing() -> None:
    names: Mapping[str, object] = {"_space_group_crystal_system": "cubic"}
    assert "names no space group" in refusal(cif_text(NACL, names=names))
    assert "its atoms are NaCl" in refusal(cif_text(NACL, names={**names, SUM: "Na Cl", Z: 4}))
    whole = cif_text(CSCL, names={**names, SUM: "Cs Cl", Z: 1})
    assert atoms(whole) == "CsCl"
    assert "cubic" in notes(whole)


@pytest.mark.parametrize(
    "names",
    [
        {HM: "R -3 c :R"},
        {HM: "R -3 c R"},
        {HM: "R-3cR"},
        {HM: "R -3 c"},
        {HM: "R -3 2/c (rhombohedral axes)"},
        {NUMBER: 167},
        {HM: "R -3 c", CODE: "r"},
        {HALL: "-P 3* 2n"},
    ],
)
def test_rhombohedral_axes_get_rhombohedral_operations(names: Mapping[str, object]) -> None:
    rows = ("Al1 Al 0.35216 0.35216 0.35216", "O1 O 0.55624 -0.05624 0.25")
    text = cif_text(rows, "rhombohedral", names)
    assert atoms(text) == "Al4O6"
    assert notes(text) == ""


@pytest.mark.parametrize("names", [{HM: "R -3 c"}, {HM: "R -3 c :H"}, {HM: "R -3 c H"},
                                   {NUMBER: 167}, {HM: "R -3 c", CODE: "h"}])  # fmt: skip
def test_hexagonal_axes_get_hexagonal_operations(names: Mapping[str, object]) -> None:
    rows = ("Ca1 Ca 0 0 0", "C1 C 0 0 0.25", "O1 O 0.257 0 0.25")
    text = cif_text(rows, "calcite", names)
    assert atoms(text) == "Ca6C6O18"
    assert notes(text) == ""


@pytest.mark.parametrize(("symbol", "cell"), [("R -3 c :H", "rhombohedral"),
                                              ("R -3 c :R", "calcite")])  # fmt: skip
def test_axes_that_the_cell_cannot_have_are_noted(symbol: str, cell: str) -> None:
    assert "which its cell does not fit" in notes(cif_text(["Al1 Al 0 0 0"], cell, {HM: symbol}))


@pytest.mark.parametrize(
    "names",
    [
        {HM: "F d -3 m :2"},
        {HM: "F d 3 m Z"},
        {HM: "Fd-3mZ"},
        {HM: "F d -3 m (origin choice 2)"},
        {HM: "F d -3 m {origin @ centre (-3m)}"},
        {HM: "F 41/d -3 2/m :2"},
        {HM: "F d -3 m", CODE: "2"},
        {"_space_group.name_H-M_alt": "F d -3 m", "_space_group.IT_coordinate_system_code": "2"},
        {NUMBER: 227, CODE: "2"},
        {HALL: "-F 4vw 2vw 3"},
        {HM: "F d -3 m", HALL: "-F 4vw 2vw 3"},
    ],
)
def test_the_second_origin_is_taken_where_it_is_named(names: Mapping[str, object]) -> None:
    text = cif_text(["C1 C 0.125 0.125 0.125"], "diamond", names)
    assert atoms(text) == "C8"
    assert notes(text) == ""


@pytest.mark.parametrize("names", [{HM: "F d -3 m :1"}, {HM: "F d 3 m S"},
                                   {HM: "F d -3 m", CODE: "1"},
                                   {HM: "F d -3 m, origin choice 1"},
                                   {HM: "F d -3 m {origin at -43m}"}])  # fmt: skip
def test_the_first_origin_is_taken_where_it_is_named(names: Mapping[str, object]) -> None:
    assert atoms(cif_text(["C1 C 0 0 0"], "diamond", names)) == "C8"
    assert atoms(cif_text(["C1 C 0.125 0.125 0.125"], "diamond", names)) == "C16"


@pytest.mark.parametrize(
    ("row", "formula", "columns"),
    [
        ("C1 C 0 0 0", {SUM: "C", Z: 8}, ()),
        ("C1 C 0.125 0.125 0.125", {SUM: "C8"}, ()),
        ("C1 C 0 0 0 8", {}, ("symmetry_multiplicity",)),
        ("C1 C 0.125 0.125 0.125 8", {}, ("site_symmetry_multiplicity",)),
    ],
)
def test_formula_or_multiplicities_find_an_origin_that_is_not_named(
    row: str, formula: Mapping[str, object], columns: tuple[str, ...]
) -> None:
    all_columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", *columns)
    text = cif_text([row], "diamond", {HM: "F d -3 m", **formula}, columns=all_columns)
    if formula.get(SUM) == "C8":
        # Eight atoms are a cell of eight, and sixteen are two: one element says no more.
        assert "does not say which setting" in refusal(text)
    else:
        assert atoms(text) == "C8"


def test_an_origin_that_nothing_tells_is_refused_and_lenient_takes_one() -> None:
    text = cif_text(["C1 C 0 0 0"], "diamond", {HM: "F d -3 m"})
    found = refusal(text)
    assert "with F d -3 m:1 its atoms are C8" in found
    assert "with F d -3 m:2 its atoms are C16" in found
    assert "it is read with F d -3 m:1" in notes(text, lenient=True)


def test_an_origin_that_only_distances_tell_is_noted() -> None:
    rows = ("Fe1 Fe 0 0 0", "Se1 Se 0 0.5 0.2652")
    text = cif_text(rows, "tetragonal", {HM: "P 4/n m m"})
    assert atoms(text) == "Fe2Se2"
    assert "no atoms are too close" in notes(text)


def test_a_number_alone_is_the_standard_setting_and_that_is_noted() -> None:
    text = cif_text(GENERAL, "monoclinic", {NUMBER: 14})
    same = cif_text(GENERAL, "monoclinic", {HM: "P 1 21/c 1"})
    assert read_cif(text).crystal == read_cif(same).crystal
    assert "only the number 14" in notes(text)
    assert "P 1 1 21" in notes(cif_text(GENERAL, "unique c", {NUMBER: 14}))


@pytest.mark.parametrize(
    "names",
    [
        {},
        {HM: "P 1 21/c 1", NUMBER: 14, HALL: "-P 2ybc"},
        {"_symmetry_space_group_name_h-m": "P 21/c", "_SYMMETRY_INT_TABLES_NUMBER": "14"},
    ],
)
@pytest.mark.parametrize(
    "operations",
    [
        ("x, y, z", "-x, y+1/2, -z+1/2", "-x, -y, -z", "x, -y-1/2, z-1/2"),
        ("X,Y,Z", "-X,1/2+Y,1/2-Z", "-X,-Y,-Z", "X,1/2-Y,1/2+Z"),
        ("1 x,y,z", "2 -x,0.5+y,.5-z", "3 -x,-y,-z", "4 x,0.5-y,0.5+z"),
        ("+x,+y,+z", "-x,+y+0.50000,-z+0.5", "-x,-y,-z", "+x,-y+3/2,z+1/2"),
    ],
)
def test_operations_are_read_in_any_form(
    operations: tuple[str, ...], names: Mapping[str, object]
) -> None:
    text = cif_text(GENERAL, "monoclinic", names, operations=operations)
    assert atoms(text) == "Na4Cl4"
    assert notes(text) == ""


@pytest.mark.parametrize("tag", ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_XYZ",
                                 "_space_group_symop.operation_xyz",
                                 "_symmetry_equiv.pos_as_xyz"])  # fmt: skip
def test_operations_are_read_under_each_of_their_names(tag: str) -> None:
    text = cif_text(GENERAL, "monoclinic", operations=("x,y,z", "-x,-y,-z"))
    assert atoms(text.replace("_symmetry_equiv_pos_as_xyz", tag)) == "Na2Cl2"


def test_operations_may_stand_unquoted_or_in_one_text_field() -> None:
    text = cif_text(GENERAL, "monoclinic", operations=("x, y, z", "-x, -y, -z"))
    assert atoms(text.replace("'", "")) == "Na2Cl2"
    field = "_symmetry_equiv_pos_as_xyz\n;\nx, y, z\n-x, -y, -z\n;"
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, -y, -z'"
    assert atoms(text.replace(listed, field)) == "Na2Cl2"


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("numbers", [("1", "2"), ("+1", "-1"), ("1", "101")])
def test_operations_may_have_numbers_before_them(blank: str, numbers: tuple[str, str]) -> None:
    listed = (f"{numbers[0]} +x,{blank}+y,{blank}+z", f"{numbers[1]} -x,{blank}-y,{blank}-z")
    text = cif_text(GENERAL, "monoclinic", operations=listed).replace("'", "")
    text = text.replace(
        "_symmetry_equiv_pos_as", "_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as"
    )
    assert (atoms(text), notes(text)) == ("Na2Cl2", "")


def test_an_operation_that_is_none_is_named() -> None:
    text = cif_text(GENERAL, "monoclinic", operations=("x,y,z", "-x,-y,q"))
    assert "symmetry operation 2 is '-x,-y,q'" in refusal(text)


def test_more_operations_than_any_group_has_are_refused_at_once() -> None:
    listed = [f"x+{i}/24,y+{j}/24,z" for i in range(24) for j in range(24)]
    assert "may be 10,000" in refusal(cif_text(["Na1 Na .1 .2 .3"] * 30, operations=listed))
    assert "lists 1152 symmetry" in refusal(cif_text(GENERAL, operations=listed * 2))


def test_a_list_without_identity_is_completed_by_the_group_that_it_generates() -> None:
    listed = ("1/2-x, 1/2+y, 1/2+z", "1/2+x, 1/2-y, z", "-x, -y, 1/2+z")
    text = cif_text(GENERAL, "orthorhombic", {HM: "P n a 21"}, operations=listed)
    assert atoms(text) == "Na4Cl4"
    assert "identity x, y, z is missing" in notes(text)
    bare = cif_text(GENERAL, "orthorhombic", operations=listed)
    assert "is not a group" in refusal(bare)
    assert atoms(bare, lenient=True) == "Na4Cl4"


def test_a_list_that_is_not_closed_is_refused_unless_a_name_completes_it() -> None:
    part = ("x,y,z", "-x,-y,-z", "-x,y+1/2,-z+1/2")
    assert "is not a group" in refusal(cif_text(GENERAL, "monoclinic", operations=part))
    named = cif_text(GENERAL, "monoclinic", {HM: "P 21/c"}, operations=part)
    assert atoms(named) == "Na4Cl4"
    assert "is not a group" in notes(named)
    other = cif_text(GENERAL, "monoclinic", {HM: "C 2/m"}, operations=part)
    assert "is not a group" in refusal(other)


@pytest.mark.parametrize("operations", [CENTRINGS, ("x,y,z", "-x,-y,-z"), ("x,y,z",)])
def test_a_list_of_another_group_than_the_symbol_is_decided_by_the_atoms(
    operations: tuple[str, ...],
) -> None:
    rows = ("Ca1 Ca 0 0 0", "F1 F 0.25 0.25 0.25")
    whole = {HM: "F m -3 m", SUM: "Ca F2", Z: 4}
    text = cif_text(rows, names=whole, operations=operations)
    assert atoms(text) == "Ca4F8"
    assert "its symbol is 'F m -3 m'" in notes(text)
    without = cif_text(rows, names={HM: "F m -3 m"}, operations=operations)
    assert "with F m -3 m its atoms are Ca4F8" in refusal(without)


def test_translations_alone_are_a_group_of_their_own() -> None:
    assert atoms(cif_text(NACL, operations=CENTRINGS)) == "Na4Cl4"


def test_a_list_of_all_atoms_is_the_same_under_the_group_that_is_named() -> None:
    rows = [f"Na{i} Na {p}" for i, p in enumerate(("0 0 0", "0 .5 .5", ".5 0 .5", ".5 .5 0"))]
    rows += [f"Cl{i} Cl {p}" for i, p in enumerate((".5 .5 .5", ".5 0 0", "0 .5 0", "0 0 .5"))]
    for operations in ((), ("x,y,z",), tuple(triplets("-F 4 2 3"))):
        text = cif_text(rows, names={HM: "F m -3 m"}, operations=operations)
        assert atoms(text) == "Na4Cl4"
        assert notes(text) != ""
    part = cif_text(rows[:5], names={HM: "F m -3 m"})
    assert "are one site; expected each once" in refusal(part)
    assert atoms(cif_text(rows[:5], names={HM: "F m -3 m", SUM: "Na Cl"})) == "Na4Cl4"


@pytest.mark.parametrize(
    ("names", "operations"),
    [
        ({NUMBER: 225, HM: "P 1"}, ()),
        ({HALL: "-F 4 2 3", HM: "P m -3 m"}, ()),
        ({HM: "F m -3 m", "_space_group_name_H-M_alt": "P m -3 m"}, ()),
        ({NUMBER: 14}, ("x,y,z", "-x,-y,-z")),
        ({HALL: "-P 2ybc"}, ("x,y,z", "-x,-y,-z")),
        ({HM: "F d -3 m :2"}, triplets("F 4d 2 3 -1d")),
        ({NUMBER: 225, "_symmetry_Int_Tables_number": 221}, ()),
        ({"_space_group_symop_operation_xyz": "x,y,z"}, ("x,y,z", "-x,-y,-z")),
    ],
)
def test_names_that_contradict_each_other_are_refused_where_the_atoms_do_not_decide(
    names: Mapping[str, object], operations: tuple[str, ...]
) -> None:
    text = cif_text(["Na1 Na 0.1 0.2 0.3"], names=names, operations=operations)
    assert any(word in refusal(text) for word in (" two ", "and its", "names the choice"))


def test_operations_that_do_not_keep_the_cell_are_refused() -> None:
    assert "do not keep its cell" in refusal(cif_text(GENERAL, "monoclinic", {HM: "P 4/m"}))
    listed = cif_text(GENERAL, "monoclinic", operations=("x,y,z", "y,x,z"))
    assert "does not keep its cell" in refusal(listed)
    hexagonal = tuple(triplets('-R 3 2"c'))
    rows = ("Al1 Al 0.35216 0.35216 0.35216", "O1 O 0.55624 -0.05624 0.25")
    text = cif_text(rows, "rhombohedral", {HM: "R -3 c"}, operations=hexagonal)
    assert atoms(text) == "Al4O6"
    assert "does not keep its cell" in notes(text)


def test_operations_of_another_setting_than_the_symbol_are_taken_and_noted() -> None:
    text = cif_text(GENERAL, "monoclinic", {HM: "P 1 21/c 1"}, operations=triplets("-P 2yn"))
    listed = cif_text(GENERAL, "monoclinic", operations=triplets("-P 2yn"))
    assert read_cif(text).crystal == read_cif(listed).crystal
    assert "P 1 21/n 1, another setting" in notes(text)


def test_magnetic_operations_make_the_crystal_without_its_spins() -> None:
    text = cif_text(GENERAL, "monoclinic").replace(
        "loop_",
        "loop_\n_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n"
        "1 x,y,z,+1\n2 -x,-y,-z,-1\nloop_\n_space_group_symop_magn_centering.id\n"
        "_space_group_symop_magn_centering.xyz\n1 x,y,z,+1\n2 x+1/2,y+1/2,z,-1\nloop_",
        1,
    )
    assert atoms(text) == "Na4Cl4"


def test_a_superspace_group_is_refused() -> None:
    names: Mapping[str, object] = {"_space_group_ssg_name": "P 21/c (a 0 g)", HM: "P 1"}
    assert "modulated" in refusal(cif_text(GENERAL, "monoclinic", names))


def test_the_settings_of_gemmi_and_spglib_are_the_same() -> None:
    """Hall numbers 525 and 526 are one group with two origins: libraries must not mix them."""
    for hall, setting in enumerate(gemmi.spacegroup_table_itb(), start=1):
        database = spglib.get_symmetry_from_database(hall)
        kind = spglib.get_spacegroup_type(hall)
        assert database is not None
        assert kind is not None
        found = operations_of_setting(setting)
        pairs = zip(database["rotations"], database["translations"], strict=True)
        expected = {(*r.ravel().tolist(), *(np.rint(t * 24) % 24).tolist()) for r, t in pairs}
        ours = zip(found.rotations, found.translations, strict=True)
        assert {(*r.ravel().tolist(), *np.rint(t * 24).tolist()) for r, t in ours} == expected
        assert setting.number == kind.number


def test_each_symbol_of_each_setting_names_that_setting() -> None:
    for setting in gemmi.spacegroup_table_itb():
        named = settings_of_symbol(setting.xhm())
        assert any(
            s.hall == setting.hall for s in settings_of_choice(named.settings, named.choice)
        ), setting.xhm()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(gemmi.spacegroup_table())), st.data())
def test_operations_of_any_setting_are_a_group_and_without_one_they_are_none(
    setting: gemmi.SpaceGroup, data: st.DataObject
) -> None:
    listed = [operation.triplet() for operation in setting.operations()]
    whole = operations_of_list(listed)
    assert whole.group_problem == ""
    assert whole == operations_of_hall(setting.hall)
    assert whole.number == setting.number
    if len(listed) > 2:
        left_out = data.draw(st.integers(0, len(listed) - 1))
        part = operations_of_list(listed[:left_out] + listed[left_out + 1 :])
        assert part.group_problem != ""
        assert part.generated_group() == whole


def test_the_double_prime_of_a_hall_symbol_may_be_two_apostrophes() -> None:
    for symbol in ('-R 3 2"c', "-R 3 2''c", '-R_3_2"c'):
        assert operations_of_hall(symbol) == operations_of_list(triplets('-R 3 2"c'))


def test_the_group_of_operations_about_a_shifted_origin_is_known() -> None:
    shifted = gemmi.symops_from_hall("-P 2ybc (x+1/8,y+1/6,z)")
    found = Operations(shifted)
    assert (found.setting, found.group_problem, found.number) == (None, "", 14)


def test_a_crystal_of_symmetry_lies_within_its_cell() -> None:
    crystal: Crystal = read_cif(cif_text(GENERAL, "monoclinic", {HM: "P 21/c"})).crystal
    assert ((crystal.positions >= 0) & (crystal.positions < 1)).all()


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("P 21/c (unique axis b)", "P 1 21/c 1"),
        ("P 21/n (unique axis b)", "P 1 21/n 1"),
        ("P 21/c, unique axis b, cell choice 1", "P 1 21/c 1"),
        ("P 21/b (unique axis c)", "P 1 1 21/b"),
        ("P2\u2081/c", "P 1 21/c 1"),
        ("F 4 3 m", "F -4 3 m"),
        ("I43d", "I -4 3 d"),
        ("H 3 2", "R 3 2:H"),
        ("P 4/n 21/m 2/m (origin choice 2)", "P 4/n m m:2"),
        ("Fm-3m O_h^5", "F m -3 m"),
        ("Fd-3m O2", "F d -3 m:2"),
    ],
)
def test_words_and_spellings_of_programs_name_a_setting(symbol: str, expected: str) -> None:
    named = settings_of_symbol(symbol)
    assert settings_of_choice(named.settings, named.choice)[0].xhm() == expected


def test_a_code_of_other_axes_than_the_symbol_is_left_to_the_atoms() -> None:
    text = cif_text(GENERAL, "monoclinic", {HM: "P 21/c", CODE: "b2"}, scale=3)
    assert "P 1 21/c 1 and P 1 21/n 1" in refusal(text)
    assert refusal(text.replace('"b2"', '"b1"')) == ""


@pytest.mark.parametrize(
    ("code", "hall"), [("-b1", "-P 2yab"), ("-b3", "-P 2ybc"), ("b2", "-P 2yn")]
)
def test_a_code_beside_a_number_names_the_axes(code: str, hall: str) -> None:
    text = cif_text(GENERAL, "monoclinic", {NUMBER: 14, CODE: code})
    by_hall = cif_text(GENERAL, "monoclinic", {HALL: hall})
    assert np.allclose(read_cif(text).crystal.positions, read_cif(by_hall).crystal.positions)


@pytest.mark.parametrize(
    "operation", ["x+1/10,y,z", "x+" + "1" * 100_000 + "/2,y,z", "x" + "+0" * 100_000 + ",y,z"]
)
def test_an_operation_that_no_space_group_has_is_refused_at_once(operation: str) -> None:
    text = cif_text(GENERAL, "triclinic", operations=("x,y,z", operation))
    assert "multiples of 1/24" in refusal(text)


def test_an_origin_is_not_decided_by_a_contact_that_some_crystals_have() -> None:
    # Two carbon atoms are 0.97 Å apart about the first origin, 0.64 of their radii; then 1.07 Å.
    for x, decided in ((0.09, True), (0.10, False)):
        text = cif_text([f"C1 C {x} 0.02 0.2"], "orthorhombic", {HM: "P n n n"})
        if decided:
            assert "it is read with P n n n:2, in which no atoms are too close" in notes(text)
        else:
            assert "which setting of its space group" in refusal(text)


def test_a_message_quotes_the_start_of_what_is_long() -> None:
    for names in ({HM: "(origin" * 5000}, {HALL: "P 2 " * 5000}, {**P1, SUM: "Na" * 5000}):
        assert 0 < len(refusal(cif_text(NACL, names=names))) < 500
