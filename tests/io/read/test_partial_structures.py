from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.errors import InputError, ReadingWarning
from crystext.io.read.partial_structures import read_partial_structure
from crystext.io.write import cif, poscar
from tests.example_crystals import QUARTZ, SRTIO3

CELL = {"length_a": "3.90517(2)", "length_b": "4", "length_c": "4.5",
        "angle_alpha": "90", "angle_beta": "90", "angle_gamma": "90"}  # fmt: skip


def cif_of(rows: list[str], cell: dict[str, str] | None = None, operations: str = "") -> str:
    """Return a CIF that lists sites of label, type and coordinates."""
    lines = ["data_x", *(f"_cell_{k} {v}" for k, v in ({**CELL, **(cell or {})}).items())]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'", operations]
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    return "\n".join([*lines, "loop_", *(f"_atom_site_{name}" for name in columns), *rows, ""])


def write(folder: Path, text: str) -> Path:
    path = folder / "x.cif"
    path.write_text(text)
    return path


def test_sites_of_a_cif_stay_in_their_order_with_their_labels_and_numbers(tmp_path: Path) -> None:
    rows = ["O_b O2- 0.5 0.5 0.1(3)", "Na7 Na 1.25 -0.125 0", "O_a O2- 0.51234567 0 0"]
    sites = read_partial_structure(write(tmp_path, cif_of(rows)))
    assert sites.labels == ("O_b", "Na7", "O_a")
    assert sites.numbers.tolist() == [8, 11, 8]
    assert sites.positions.tolist() == [[0.5, 0.5, 0.1], [1.25, -0.125, 0], [0.51234567, 0, 0]]
    assert sites.lengths.tolist() == [3.90517, 4, 4.5]


def test_question_marks_of_a_cif_are_what_is_not_known(tmp_path: Path) -> None:
    rows = ["O1 O 0.5 ? 0.1", "M1 ? 0 0 0", "Cl1 Cl ? . ?"]
    sites = read_partial_structure(write(tmp_path, cif_of(rows, {"length_c": "?"})))
    assert sites.numbers.tolist() == [8, 0, 17]
    assert np.isnan(sites.positions).tolist() == [[False, True, False], [False] * 3, [True] * 3]
    assert np.isnan(sites.lengths).tolist() == [False, False, True]


def test_other_formats_and_cifs_with_symmetry_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(poscar(SRTIO3))
    assert read_partial_structure(path).labels == ("Sr1", "Ti1", "O1", "O2", "O3")
    rows = ["Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.25"]
    sites = read_partial_structure(write(tmp_path, cif_of(rows, operations="'x, y, -z'")))
    assert sorted(sites.numbers.tolist()) == [11, 17, 17]


def test_unknown_values_beside_symmetry_leave_the_asymmetric_unit(tmp_path: Path) -> None:
    rows = ["Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 ?"]
    sites = read_partial_structure(write(tmp_path, cif_of(rows, operations="'x, y, -z'")))
    assert sites.labels == ("Na1", "Cl1")
    assert sites.unit is not None
    assert sites.unit.multiplicities.tolist() == [0, 0]
    (operations,) = sites.symmetry
    assert (operations.number, len(operations)) == (6, 2)
    listed = read_partial_structure(write(tmp_path, cif_of(rows)))
    assert (listed.unit, listed.symmetry) == (None, ())


def test_what_is_written_is_read_back_site_by_site(tmp_path: Path) -> None:
    labels = [f"x{i}" for i in range(len(QUARTZ))]
    sites = read_partial_structure(write(tmp_path, cif(QUARTZ, labels=labels, exact=True)))
    assert sites.labels == tuple(labels)
    assert sites.numbers.tolist() == QUARTZ.numbers.tolist()
    assert np.array_equal(sites.positions, QUARTZ.positions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cif_of(["Na1 Qq 0 0 ?"]), "not an element"),
        (cif_of(["Na1 Na 0 zero ?"]), "coordinate y that is not finite"),
        (cif_of(["Na1 Na 0 0 ?"], {"length_a": "long"}), "_cell_length_a is 'long'"),
    ],
)
def test_what_is_wrong_beside_question_marks_is_said(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_partial_structure(write(tmp_path, text))


def test_a_cif_that_contradicts_itself_is_read_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = ["Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5"]
    text = cif_of(rows).replace("data_x", "data_x\n_chemical_formula_sum 'Na Cl2'")
    path = write(tmp_path, text)
    with pytest.raises(InputError, match="its formula is 'Na Cl2'"):
        read_partial_structure(path)
    with pytest.warns(ReadingWarning, match="its formula"):
        assert len(read_partial_structure(path, lenient=True).numbers) == 2


@pytest.mark.parametrize("height", ["0.5", "?"])
def test_what_is_assumed_is_told(tmp_path: Path, height: str) -> None:
    path = write(tmp_path, cif_of(["Na1 Na 0 0 0", f"D1 D 0.5 0.5 {height}"]))
    with pytest.warns(ReadingWarning, match="deuterium"):
        assert read_partial_structure(path).numbers.tolist() == [11, 1]
