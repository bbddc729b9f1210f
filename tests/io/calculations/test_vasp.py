"""What the input sets of VASP decide: U, moments, POTCARs, k-points; compared with their rules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pymatgen.io.vasp.inputs import Incar, Kpoints

from crystext.io.calculations.export import ExportedCandidate, export_candidates
from crystext.structures.crystal import Crystal
from tests.example_crystals import IRON, NACL, crystal
from tests.io.calculations.example_candidates import FLUORIDE, SULFIDE, TRICLINIC

U_VALUES = {"Co": 3.32, "Cr": 3.7, "Fe": 5.3, "Mn": 3.9, "Mo": 4.38, "Ni": 6.2, "V": 3.25, "W": 6.2}
"""In eV, for oxides and fluorides: Jain et al., Phys. Rev. B 84, 045115 (2011), and the
documentation of the Materials Project."""


def written(
    crystal: Crystal, out: Path, input_set: str | None = None
) -> tuple[Incar, ExportedCandidate]:
    """Export one crystal; return its INCAR and its row."""
    export = export_candidates([crystal], "vasp", out, input_set=input_set)
    row = export.candidates[0]
    return Incar.from_file(out / row.path / "INCAR"), row


def binary(metal: str, other: str) -> Crystal:
    """Return a rock salt cell with one atom of each."""
    return crystal([3.0] * 3, [60] * 3, [(metal, [0, 0, 0]), (other, [0.5, 0.5, 0.5])])


@pytest.mark.parametrize("anion", ["O", "F"])
def test_oxides_and_fluorides_of_eight_metals_have_the_u_of_the_materials_project(
    anion: str, tmp_path: Path
) -> None:
    export = export_candidates([binary(x, anion) for x in U_VALUES], "vasp", tmp_path / "out")
    for row, u in zip(export.candidates, U_VALUES.values(), strict=True):
        incar = Incar.from_file(tmp_path / "out" / row.path / "INCAR")
        assert incar["LDAU"]
        assert incar["LDAUU"] == [u, 0]
        assert incar["LDAUL"] == [2, 0]


@pytest.mark.parametrize("other", ["S", "Cl", "N"])
def test_a_compound_of_iron_without_oxygen_and_fluorine_has_no_u(
    other: str, tmp_path: Path
) -> None:
    incar, _ = written(binary("Fe", other), tmp_path / "out")
    assert [key for key in incar if key.startswith("LDAU")] == []


def test_other_metals_have_no_u_in_an_oxide(tmp_path: Path) -> None:
    incar, _ = written(binary("Ti", "O"), tmp_path / "out")
    assert "LDAUU" not in incar


def test_r2scan_has_no_u(tmp_path: Path) -> None:
    incar, row = written(FLUORIDE, tmp_path / "out", "MPScanRelaxSet")
    assert incar["METAGGA"].upper() == "R2SCAN"
    assert "LDAUU" not in incar
    assert incar["MAGMOM"] == [5, 5, 0.6, 0.6, 0.6, 0.6]
    assert row.settings is not None
    assert row.settings.pseudopotentials == "PBE_54: Fe_pv F"
    assert row.settings.cutoff_ev == 680


def test_u_and_moments_follow_the_order_of_poscar(tmp_path: Path) -> None:
    incar, row = written(TRICLINIC, tmp_path / "out")
    elements = (tmp_path / "out" / row.path / "POSCAR").read_text().splitlines()[5].split()
    assert incar["LDAUU"] == [U_VALUES.get(element, 0) for element in elements]
    assert (tmp_path / "out" / row.path / "POTCAR.spec").read_text().split() == ["Mn_pv", "Co", "O"]
    assert any("low spin" in note for note in row.notes)


def test_no_potcar_is_written(tmp_path: Path) -> None:
    _, row = written(NACL, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / row.path).iterdir())
    assert names == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]


def test_a_spacing_of_k_points_is_the_grid_that_vasp_makes_of_it(tmp_path: Path) -> None:
    incar, row = written(SULFIDE, tmp_path / "out", "MPScanRelaxSet")
    assert not (tmp_path / "out" / row.path / "KPOINTS").exists()
    assert row.settings is not None
    a, _, c = row.settings.k_grid
    assert a == math.ceil(2 * math.pi / (3.45 * math.sqrt(3) / 2) / incar["KSPACING"])
    assert c == math.ceil(2 * math.pi / 5.79 / incar["KSPACING"])


def test_the_grid_in_the_index_is_that_of_kpoints(tmp_path: Path) -> None:
    _, row = written(SULFIDE, tmp_path / "out")
    kpoints = Kpoints.from_file(tmp_path / "out" / row.path / "KPOINTS")
    assert row.settings is not None
    assert tuple(kpoints.kpts[0]) == row.settings.k_grid


def test_an_element_without_a_potcar_is_refused(tmp_path: Path) -> None:
    """pymatgen would name a POTCAR after the element; there is no Ra, only Ra_sv."""
    export = export_candidates([NACL, binary("Ra", "O")], "vasp", tmp_path / "out")
    assert "MPRelaxSet names no POTCAR for Ra" in export.problems[0].problem
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["001-NaCl"]


def test_a_warning_of_the_set_is_a_note(tmp_path: Path) -> None:
    _, row = written(IRON, tmp_path / "out")
    assert any("likely metal" in note for note in row.notes)
    assert written(IRON, tmp_path / "metal", "MPMetalRelaxSet")[1].notes == ()
