"""What a file says of its atoms, and what they are: where these differ nothing is read silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.io.read.cif_texts import (
    COLUMNS,
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

FM3M = {HM: "F m -3 m"}


@pytest.mark.parametrize(
    ("formula", "units"),
    [("Na Cl", 4), ("Na Cl", None), ("NaCl", 4), ("Na4 Cl4", 1), ("Na4 Cl4", 4), ("Cl Na", 4),
     ("Na1.00 Cl1.0", 4), ("Na2 Cl2", 2), ("Na4Cl4", "?"), ("?", 4), ("Na0.5 Cl0.5", None)],
)  # fmt: skip
def test_a_formula_of_the_unit_or_of_the_cell_agrees(formula: str, units: object) -> None:
    names = {**FM3M, SUM: formula} | ({} if units is None else {Z: units})
    text = cif_text(NACL, names=names)
    assert atoms(text) == "Na4Cl4"
    assert notes(text) == ""


@pytest.mark.parametrize(
    ("formula", "word"),
    [
        ("Na Cl H8", "names H, but no site does"),
        ("Na", "sites make Na4Cl4"),
        ("Na2 Cl", "sites make Na4Cl4"),
        ("Na3 Cl3", "sites make Na4Cl4"),
        ("Na8 Cl8", "sites make Na4Cl4"),
        ("K Cl", "names K"),
        ("Na1.2 Cl", "sites make Na4Cl4"),
    ],
)
def test_a_formula_of_other_atoms_is_a_contradiction(formula: str, word: str) -> None:
    text = cif_text(NACL, names={**FM3M, SUM: formula})
    assert word in refusal(text)
    assert "orrect _chemical_formula_sum" in refusal(text)
    assert atoms(text, lenient=True) == "Na4Cl4"
    assert formula in notes(text, lenient=True)


def test_rounded_counts_of_a_formula_agree() -> None:
    rows = ("Al1 Al 0 0 0", "Al2 Al .5 .5 0", "O1 O .5 .5 .5", "O2 O .5 0 .3", "O3 O 0 .5 .2")
    assert atoms(cif_text(rows, names={**P1, SUM: "Al0.67 O"})) == "Al2O3"
    assert refusal(cif_text(rows, names={**P1, SUM: "Al0.60 O"})) != ""


def test_a_number_of_units_that_nothing_else_bears_out_is_a_contradiction() -> None:
    listed = cif_text(NACL, names={SUM: "Na Cl", Z: 4}, operations=("x,y,z", "-x,-y,-z"))
    assert "4 units" in refusal(listed)
    named = cif_text(NACL, names={**FM3M, "_space_group_IT_number": 225, SUM: "Na Cl", Z: 2})
    assert atoms(named) == "Na4Cl4"
    assert "2 units" in notes(named)
    molecule = cif_text(["F1 F 0 0 0.12"], names={**FM3M, SUM: "F24", Z: 12})
    assert notes(molecule) == ""


def with_multiplicities(
    first: object,
    second: object,
    names: Mapping[str, object],
    operations: Sequence[str] = (),
) -> str:
    """Return rock salt with the multiplicities of its two sites."""
    rows = [f"{row} {m}" for row, m in zip(NACL, (first, second), strict=True)]
    columns = (*COLUMNS, "symmetry_multiplicity")
    return cif_text(rows, names=names, columns=columns, operations=operations)


@pytest.mark.parametrize("pair", [(4, 4), (48, 48), ("?", "."), (1, 1), (4, ".")])
def test_multiplicities_agree_with_the_atoms_that_sites_make(pair: tuple[object, object]) -> None:
    text = with_multiplicities(*pair, FM3M)
    assert atoms(text) == "Na4Cl4"
    assert notes(text) == ""


def test_multiplicities_of_other_atoms_are_a_contradiction() -> None:
    text = with_multiplicities(4, 8, FM3M)
    assert "the multiplicity 8" in refusal(text)
    assert atoms(text, lenient=True) == "Na4Cl4"
    inverted = with_multiplicities(4, 4, {}, ("x,y,z", "-x,-y,-z"))
    assert "the multiplicity 4" in refusal(inverted)
    assert "the multiplicity 4" in refusal(with_multiplicities(4, 4, {}))


@pytest.mark.parametrize(
    ("multiplicity", "units", "formula", "read"),
    [(2, 2, "Fe2 Se2", True), (2, 2, "Fe Se", True), (1, 1, "Fe Se", True),
     (3, 2, "Fe2 Se2", False), (2, 3, "Fe2 Se2", False), (2, 2, "Fe2 Se3", False)],
)  # fmt: skip
def test_raw_output_of_a_generator_is_what_most_of_it_agrees_on_or_nothing(
    multiplicity: int, units: int, formula: str, read: bool
) -> None:
    rows = (f"Fe0 Fe 0 0 0 {multiplicity}", f"Se1 Se 0 0.5 0.2652 {multiplicity}")
    names = {HM: "P4/nmm", "_symmetry_Int_Tables_number": 129, SUM: formula, Z: units}
    text = cif_text(rows, "tetragonal", names, columns=(*COLUMNS, "symmetry_multiplicity"),
                    operations=("x, y, z",))  # fmt: skip
    if read:
        assert atoms(text) == ("FeSe" if units == 1 else "Fe2Se2")
        assert "its list has 1 symmetry operation" in notes(text)
    else:
        assert "its list has 1 symmetry operation" in refusal(text)
        assert atoms(text, lenient=True) in ("Fe2Se2", "FeSe")


@pytest.mark.parametrize(
    ("formula", "hydrogens", "read"),
    [
        *((None, h, h in ("0 0", "? ?", ". .")) for h in ("0 0", "? ?", ". .", "0 1", "2 0")),
        *(("Cs Cl", h, h == "0 0") for h in ("0 0", "0 1")),
        ("Cs Cl H", "0 1", False),
    ],
)
def test_hydrogen_that_is_attached_and_not_placed_is_told(
    formula: str | None, hydrogens: str, read: bool
) -> None:
    rows = [f"{row} {h}" for row, h in zip(CSCL, hydrogens.split(), strict=True)]
    names: Mapping[str, object] = {**P1, SUM: formula or "?"}
    text = cif_text(rows, names=names, columns=(*COLUMNS, "attached_hydrogens"))
    if read:
        assert notes(text) == ""
    else:
        assert "attached to its sites, without positions" in refusal(text)
        assert "attached" in notes(text, lenient=True)


def test_hydrogen_that_is_attached_and_placed_all_the_same_is_read() -> None:
    rows = ("Na1 Na 0 0 0 0", "O1 O .5 .5 .5 1", "H1 H .5 .5 .67 0")
    text = cif_text(rows, names={**P1, SUM: "Na O H"}, columns=(*COLUMNS, "attached_hydrogens"))
    assert atoms(text) == "NaOH"
    assert notes(text) == ""


def test_a_volume_of_another_cell_is_noted() -> None:
    assert notes(cif_text(NACL, names={**FM3M, "_cell_volume": "179.41(3)"})) == ""
    assert "_cell_volume is 179" in notes(
        cif_text(NACL, names={**P1, "_cell_volume": 179}, scale=2)
    )


def test_a_cell_that_slightly_misses_its_symmetry_is_noted() -> None:
    text = cif_text(NACL, names=FM3M).replace("length_b 5.64", "length_b 5.66")
    assert atoms(text) == "Na4Cl4"
    assert "misses its symmetry" in notes(text)
    assert "do not keep its cell" in refusal(text.replace("5.66", "5.94"))


@pytest.mark.parametrize("lenient", [False, True])
def test_what_can_be_read_is_read_the_same_leniently(lenient: bool) -> None:
    for text, expected in ((cif_text(NACL, names=FM3M), "Na4Cl4"),
                           (cif_text(GENERAL, "triclinic", P1), "NaCl")):  # fmt: skip
        assert atoms(text, lenient=lenient) == expected
        assert notes(text, lenient=lenient) == ""


def test_no_message_shows_the_inside_of_the_program() -> None:
    texts = [
        cif_text(NACL, names={**FM3M, SUM: "K9"}),
        cif_text(GENERAL, "monoclinic", {HM: "P 4"}),
        cif_text(NACL, operations=("x,y", "z")),
        cif_text(["Na1 Na 0"], names=P1),
        cif_text(["Na1 Na a b c"], names=P1),
        cif_text(NACL, names={**P1, Z: "x" * 50}, columns=COLUMNS).replace("5.64", "5,64"),
    ]
    for text in texts:
        found = refusal(text)
        assert found
        assert not any(word in found for word in ("np.", "Error", "None", "[", "list index"))
