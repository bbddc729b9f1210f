"""Sites: elements, occupancies, and coordinates that are known to their printed digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from crystext.errors import InputError
from crystext.io.read.cif import read_cif
from tests.io.read.cif_texts import (
    COLUMNS,
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

LABELS = ("label", "fract_x", "fract_y", "fract_z")
HEXAGONAL = {HM: "P 63/m m c"}


@pytest.mark.parametrize(
    ("row", "cell", "symbol", "expected"),
    [
        *((f"Mg1 Mg {p} 0.25", "hexagonal", "P 63/m m c", "Mg2") for p in
          ("0.333 0.667", "0.3333 0.6667", "0.33 0.67", "0.333 0.666", "0.33333 0.66667",
           "0.3333 0.66667", "0.33330 0.66670", "1/3 2/3", "0.333(1) 0.667(1)", ".333 .667",
           "-0.667 -0.333", "1.333 0.667", "0.3334 0.6667")),
        *((f"Ni1 Ni {p} 0.25", "hexagonal", "P 63/m m c", "Ni6") for p in
          ("0.8385 0.6769", "0.838 0.677", "0.84 0.68", "0.1615 -0.6769", "0.8385(2) 0.677(3)")),
        ("Al1 Al 0.1667 -0.1667 -0.1667", "calcite", "R -3 m :H", "Al9"),
        ("Al1 Al .1667 .8333 .8333", "calcite", "R -3 m :H", "Al9"),
        ("Al1 Al 0.167 0.833 0.833", "calcite", "R -3 m", "Al9"),
        ("C1 C 0.125 0.1250 0.12500", "cubic", "F d -3 m :2", "C8"),
        ("O1 O 0.2624 0.2624 0.2625", "cubic", "F d -3 m :2", "O32"),
        ("Na1 Na 0.0001 0 0", "cubic", "F m -3 m", "Na4"),
        ("Na1 Na 0.9999 0 -0.0001", "cubic", "F m -3 m", "Na4"),
    ],
)  # fmt: skip
def test_a_rounded_special_position_makes_no_further_atoms(
    row: str, cell: str, symbol: str, expected: str
) -> None:
    text = cif_text([row], cell, {HM: symbol})
    assert atoms(text) == expected
    assert notes(text) == ""


def test_a_site_is_put_onto_its_special_position() -> None:
    crystal = read_cif(cif_text(["Mg1 Mg 0.333 0.667 0.25"], "hexagonal", HEXAGONAL)).crystal
    expected = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    assert np.allclose(np.sort(crystal.positions, axis=0), np.sort(expected, axis=0), atol=1e-12)


def test_a_site_that_its_digits_keep_off_a_special_position_is_moved_with_a_note() -> None:
    near = cif_text(["Na1 Na 0.00912 0 0"], names={HM: "F m -3 m"})
    assert atoms(near) == "Na4"
    assert "0.051 Å from a special position" in notes(near)
    far = cif_text(["Na1 Na 0.03521 0 0"], names={HM: "F m -3 m"})
    assert "less than 0.5 Å from each other" in refusal(far)
    borne_out = cif_text(["Na1 Na 0.03521 0 0"], names={HM: "F m -3 m", SUM: "Na", Z: 4})
    assert atoms(borne_out) == "Na4"
    assert "special position" in notes(borne_out)
    off = cif_text(["Na1 Na 0.11 0 0"], names={HM: "F m -3 m"})
    assert atoms(off) == "Na24"


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["x,x,x", "x,0,0", "0,1/2,x", "x,x,0", "1/4,1/4,1/4", "x,x,1/4", "0,0,0"]),
    st.floats(0.05, 0.45),
    st.integers(3, 6),
)
def test_any_number_of_digits_makes_the_atoms_that_all_digits_make(
    place: str, x: float, digits: int
) -> None:
    def text(decimals: int) -> str:
        values = [x if part == "x" else eval_fraction(part) for part in place.split(",")]
        row = " ".join(f"{value:.{decimals}f}" for value in values)
        return cif_text([f"Na1 Na {row}"], names={HM: "P m -3 n"}, scale=4)

    try:
        few, all_digits = atoms(text(digits)), atoms(text(12))
    except InputError:
        reject()  # So close to a special position that it is refused, with digits as without.
    assert few == all_digits


def eval_fraction(text: str) -> float:
    above, _, below = text.partition("/")
    return int(above) / int(below or 1)


def test_a_cell_that_lists_every_atom_keeps_its_numbers_as_written() -> None:
    rows = ("Mg1 Mg 0.3333 0.66666 -0.25", "Mg2 Mg 1.6667 0.333 0.75(3)")
    crystal = read_cif(cif_text(rows, "hexagonal", P1)).crystal
    assert crystal.positions.tolist() == [[0.3333, 0.66666, -0.25], [1.6667, 0.333, 0.75]]
    assert crystal.lengths.tolist() == [3.209, 3.209, 5.211]


def test_an_atom_of_a_face_that_is_listed_on_both_sides_is_one() -> None:
    rows = ("Cs1 Cs 0 0 0", "Cs2 Cs 1 0 0", "Cs3 Cs 1 1 1", "Cl1 Cl 0.5 0.5 0.5")
    text = cif_text(rows, names={**P1, SUM: "Cs Cl"})
    assert atoms(text) == "CsCl"
    assert "are read as one" in notes(text)
    assert "occupied more than once" in refusal(cif_text(rows, names=P1))
    assert atoms(cif_text(rows, names=P1), lenient=True) == "CsCl"
    other = ("Cs1 Cs 0 0 0", "Cl1 Cl 1 0 0")
    assert "occupied more than once" in refusal(cif_text(other, names=P1), lenient=True)


def test_two_elements_at_one_place_are_refused() -> None:
    text = cif_text(("Na1 Na 0 0 0", "Cl1 Cl 0.001 0 0"), names={HM: "F m -3 m"})
    assert "occupied more than once" in refusal(text)
    assert "occupied more than once" in refusal(text, lenient=True)


@pytest.mark.parametrize("first", [".", "?", "1", "1.0", "1.00(2)", "1.00002"])
@pytest.mark.parametrize("second", [".", "?", "1", "''"])
def test_an_occupancy_that_is_not_given_is_one(first: str, second: str) -> None:
    rows = (f"{NACL[0]} {first}", f"{NACL[1]} {second}")
    assert (
        atoms(cif_text(rows, names={HM: "F m -3 m"}, columns=(*COLUMNS, "occupancy"))) == "Na4Cl4"
    )


@pytest.mark.parametrize("tag", ["occupancy", "Occupancy", "OCCUPANCY"])
def test_a_site_that_is_occupied_in_part_is_refused(tag: str) -> None:
    rows = (f"{NACL[0]} 0.5", f"{NACL[1]} .")
    found = refusal(cif_text(rows, names=P1, columns=(*COLUMNS, tag)), lenient=True)
    assert found.startswith("site 1 (Na1) is disordered (occupied by Na 0.5); expected one whole")
    for value in ("half", "2", "-1", "0"):
        rows = (f"{NACL[0]} {value}", f"{NACL[1]} 1")
        assert refusal(cif_text(rows, names=P1, columns=(*COLUMNS, tag)))


def test_sites_of_several_disorder_groups_are_refused() -> None:
    columns = (*COLUMNS, "disorder_group")
    two = (f"{NACL[0]} 1", f"{NACL[1]} 2")
    assert "disordered" in refusal(cif_text(two, names=P1, columns=columns))
    assert "disordered" in refusal(cif_text((f"{NACL[0]} .", f"{NACL[1]} -1"), names=P1,
                                            columns=columns))  # fmt: skip
    for group in (".", "?", "0", "1"):
        rows = [f"{row} {group}" for row in NACL]
        assert atoms(cif_text(rows, names=P1, columns=columns)) == "NaCl"


def test_dummy_sites_are_left_out_with_a_note() -> None:
    rows = (f"{NACL[0]} d", f"{NACL[1]} .", "Cg1 X 0.2 0.2 0.2 dum")
    text = cif_text(rows, names=P1, columns=(*COLUMNS, "calc_flag"))
    assert atoms(text) == "NaCl"
    assert "dummy sites are left out: Cg1" in notes(text)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        *(("Fe3+", "Fe"), ("O2-", "O"), ("Fe", "Fe"), ("FE", "Fe"), ("fe", "Fe"), ("Fe+3", "Fe")),
        *(("Cl-", "Cl"), ("Cl1-", "Cl"), ("Fe0", "Fe"), ("Fe2", "Fe"), ("Fe3.5+", "Fe")),
        *(("Fe(III)", "Fe"), ("Fe_pv", "Fe"), ("O-2", "O"), ("H", "H"), ("13C", "C"), ("U6+", "U")),
    ],
)
def test_a_type_names_its_element_whatever_its_charge(symbol: str, expected: str) -> None:
    text = cif_text([f"X1 {symbol} 0 0 0"], names=P1)
    assert atoms(text) == expected
    assert notes(text) == ""


@pytest.mark.parametrize("symbol", ["OH", "Wat", "Vac", "Va", "X", "M", "NH4", "OH2", "H2O", "CO3",
                                    "PO4", "?", ".", "Fe/Co", "Fe,Co", "Qq", "''", "1", "CH3",
                                    "Lp"])  # fmt: skip
@pytest.mark.parametrize("lenient", [False, True])
def test_a_type_that_is_no_element_is_refused(symbol: str, lenient: bool) -> None:
    found = refusal(cif_text([f"Fe1 {symbol} 0 0 0"], names=P1), lenient=lenient)
    assert "which is not an element" in found


@pytest.mark.parametrize(
    ("labels", "formula", "expected"),
    [
        (("C1", "CD", "H1", "HG1"), "C2 H2", "C2H2"),
        (("CD", "HG1", "HG2"), "C H2", "CH2"),
        (("CD", "HG1", "HG2"), "Cd Hg2", "CdHg2"),
        (("Na1", "O1", "HO1"), "Na O H", "NaOH"),
        (("HO1", "O1", "O2"), "Ho O2", "HoO2"),
        (("C1", "NP", "OS1"), "C N O", "CNO"),
        (("NA1", "CL1"), "Na Cl", "NaCl"),
        (("NA1", "CL1"), "N C", "NC"),
        (("Na1", "Cl1"), "Na Cl", "NaCl"),
        (("Ow1", "Na1"), "Na O", "ONa"),
        (("CA", "CB", "N"), "C2 N", "C2N"),
        (("SI1", "O1", "O2"), "Si O2", "SiO2"),
        (("D1", "O1"), "D O", "HO"),
        (("Db1", "O1"), "D O", "HO"),
        (("T1", "O1"), "T O", "HO"),
        (("C1A", "C2'", "*H3"), "C2 H", "C2H"),
    ],
)
def test_the_formula_tells_what_labels_stand_for(
    labels: tuple[str, ...], formula: str, expected: str
) -> None:
    rows = [f"{label} 0.{i} 0.2 0.1" for i, label in enumerate(labels)]
    assert atoms(cif_text(rows, names={**P1, SUM: formula}, columns=LABELS)) == expected


def test_a_formula_of_another_kind_tells_elements_too() -> None:
    rows = ("CD 0 0 0", "HG1 0.2 0.1 0.1")
    for name in ("moiety", "structural"):
        names = {**P1, f"_chemical_formula_{name}": "C H"}
        assert atoms(cif_text(rows, names=names, columns=LABELS)) == "CH"


@pytest.mark.parametrize("labels", [("CD", "S1"), ("HO3'", "O3'"), ("NP", "C1"), ("CA", "O1")])
def test_a_label_that_may_be_either_of_two_elements_is_refused(labels: tuple[str, ...]) -> None:
    rows = [f"{label} 0.{i} 0 0" for i, label in enumerate(labels)]
    assert "may stand for" in refusal(cif_text(rows, names=P1, columns=LABELS))
    both = {"CD": "Cd C S", "HO3'": "Ho H O", "NP": "Np N C", "CA": "Ca C O"}[labels[0]]
    assert "may stand for" in refusal(cif_text(rows, names={**P1, SUM: both}, columns=LABELS))


def test_an_element_of_the_formula_that_one_label_alone_may_name_is_that_label() -> None:
    for labels, formula in (
        (("CA", "C1", "O1"), "C Ca O"),
        (("CO1", "C1", "O1", "O2"), "C Co O2"),
        (("CD1", "CD2", "C1", "N1"), "C Cd2 N"),
    ):
        rows = [f"{label} 0.{i} 0 0" for i, label in enumerate(labels)]
        text = cif_text(rows, names={**P1, SUM: formula}, columns=LABELS)
        assert sorted(atoms(text)) == sorted(formula.replace(" ", ""))
    rows = [f"{label} 0.{i} 0 0" for i, label in enumerate(("CD1", "CD2", "C1", "N1"))]
    other = cif_text(rows, names={**P1, SUM: "C2 Cd N"}, columns=LABELS)
    assert "its sites make" in refusal(other)


def test_labels_in_place_of_types_are_noted_unless_the_formula_bears_them_out() -> None:
    rows = ("Na1 0 0 0", "Cl1 .5 .5 .5")
    assert "taken from the labels" in notes(cif_text(rows, names=P1, columns=LABELS))
    assert notes(cif_text(rows, names={**P1, SUM: "Na Cl"}, columns=LABELS)) == ""


def test_types_go_before_labels() -> None:
    text = cif_text(["CA C 0 0 0", "Co1 O .5 .5 .5"], names=P1)
    assert atoms(text) == "CO"


@pytest.mark.parametrize("label", ["Wat1", "Vac1", "OH1", "M1", "T1", "X2", "1", "?", "Me1"])
def test_a_label_that_names_no_element_is_refused(label: str) -> None:
    text = cif_text([f"{label} 0 0 0", "Na1 .5 .5 .5"], names=P1, columns=LABELS)
    assert "not an element" in refusal(text)


@pytest.mark.parametrize(("symbol", "isotope"), [("D", "D"), ("T", "T"), ("D+", "D"), ("2H", "D"),
                                                 ("d", "D")])  # fmt: skip
def test_deuterium_and_tritium_are_read_as_hydrogen_with_a_note(symbol: str, isotope: str) -> None:
    rows = ("O1 O 0 0 0", "H1 H 0.17 0 0", f"X1 {symbol} 0 0.17 0")
    for formula in ("H2 O", "D H O", "T H O"):
        text = cif_text(rows, names={**P1, SUM: formula})
        assert atoms(text) == "OH2"
        name = {"D": "deuterium", "T": "tritium"}[isotope]
        assert notes(text) == (
            f"{name} is read as hydrogen (site 3): texts know elements, not isotopes"
        )


@pytest.mark.parametrize("value", ["nan", "inf", "zero", "?", ".", "0,5", "1e999", "1/0", "''"])
def test_a_coordinate_that_is_no_number_is_refused(value: str) -> None:
    text = cif_text([f"Na1 Na 0 {value} 0"], names=P1)
    assert "site 1 (Na1) has a coordinate y that is not finite" in refusal(text)


def test_cartesian_coordinates_alone_are_refused() -> None:
    columns = ("label", "type_symbol", "Cartn_x", "Cartn_y", "Cartn_z")
    assert "Cartesian" in refusal(cif_text(NACL, names=P1, columns=columns))


@pytest.mark.parametrize(
    ("old", "new"), [("_a 5.64", "_a 0"), ("_a 5.64", "_a -5"), ("alpha 90", "alpha 0"),
                     ("alpha 90", "alpha 180"), ("_a 5.64", "_a ?"), ("_a 5.64", "_a long"),
                     ("_cell_length_a 5.64\n", ""), ("_cell_angle_beta 90\n", "")]
)  # fmt: skip
def test_a_cell_that_is_none_is_refused(old: str, new: str) -> None:
    assert refusal(cif_text(GENERAL, names=P1).replace(old, new)) != ""
