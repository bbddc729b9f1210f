"""Deuterium and tritium are read as hydrogen, and it is said, whatever the format."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element, Species
from pymatgen.core.structure import Structure

import crystext
from crystext.errors import InputError, ReadingWarning
from crystext.io.read import as_crystal, read_crystal, read_crystals
from crystext.structures.crystal import Crystal, isotope_notes
from tests.io.read.format_examples import OPTIMADE

NOTE = "deuterium is read as hydrogen (site 2): texts know elements, not isotopes"
PLACES = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
STRUCTURE = Structure(Lattice.cubic(4.08), ["Li", Element("D")], PLACES)
POSCAR = "LiD\n1.0\n4.08 0 0\n0 4.08 0\n0 0 4.08\nLi D\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
FRAME = (
    '2\nLattice="4.08 0 0 0 4.08 0 0 0 4.08" Properties={}\n'
    "{} 0.0 0.0 0.0\n{} 2.04 2.04 2.04\n"
)  # fmt: skip


def heavy(mass: float) -> Atoms:
    return Atoms("LiH", cell=[4.08] * 3, scaled_positions=[[0, 0, 0], [0.5] * 3], pbc=True,
                 masses=[6.94, mass])  # fmt: skip


def arrays() -> str:
    row = {"lengths": [4.08] * 3, "angles": [90] * 3, "numbers": ["Li", "D"]}
    return json.dumps([{**row, "frac_coords": [[0, 0, 0], [0.5] * 3]}])


def optimade() -> str:
    entry = json.loads(json.dumps(OPTIMADE["data"]))[0]
    entry["attributes"] |= {
        "elements": ["H", "Li"],
        "species_at_sites": ["Li", "D"],
        "species": [
            {"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0]},
            {"name": "D", "chemical_symbols": ["H"], "concentration": [1.0], "mass": [2.014]},
        ],
    }
    return json.dumps({"data": [entry], "meta": {}})


def dictionary() -> dict[str, Any]:
    structure: dict[str, Any] = STRUCTURE.as_dict()
    structure["sites"][1]["species"] = [{"element": "D", "occu": 1}]
    return structure


def of_ase(path: Path) -> None:
    ase.io.write(path, heavy(2.014))


FILES: dict[str, Any] = {
    "POSCAR": POSCAR,
    "vasp4.vasp": POSCAR.replace("Li D\n", "").replace("0 0 0\n.5 .5 .5", "0 0 0 Li\n.5 .5 .5 D"),
    "x.extxyz": FRAME.format("species:S:1:pos:R:3", "Li", "D"),
    "behind.extxyz": '2\nLattice="4.08 0 0 0 4.08 0 0 0 4.08" Properties=pos:R:3:species:S:1\n'
    "0.0 0.0 0.0 Li\n2.04 2.04 2.04 D\n",
    "masses.extxyz": of_ase,
    "x.traj": of_ase,
    "x.db": of_ase,
    "ase.json": of_ase,
    "pymatgen.json": json.dumps(dictionary()),
    "arrays.json": arrays(),
    "optimade.json": optimade(),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_deuterium_of_a_file_is_hydrogen_with_a_note(name: str, tmp_path: Path) -> None:
    path, content = tmp_path / name, FILES[name]
    if callable(content):
        content(path)
    else:
        path.write_text(content)
    (item,) = read_crystals(path)
    assert item.crystal is not None, item.message
    assert item.crystal.symbols == ["Li", "H"]
    assert item.notes == (NOTE,)
    with pytest.warns(ReadingWarning, match="deuterium is read as hydrogen") as given:
        read_crystal(path)
    assert [str(warning.message) for warning in given] == [f"{path}: {NOTE}"]


def test_hydrogen_is_no_deuterium(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_crystal(heavy(1.008)).symbols == ["Li", "H"]
        assert as_crystal(Structure(Lattice.cubic(4.0), ["H"], [[0, 0, 0]])).symbols == ["H"]
    (tmp_path / "POSCAR").write_text(POSCAR.replace("Li D", "Li H"))
    (item,) = read_crystals(tmp_path / "POSCAR")
    assert item.notes == ()


@pytest.mark.parametrize("species", [Element("D"), Species("D", 1), Element("T")])
def test_an_isotope_in_a_structure_is_hydrogen_with_a_warning(species: Any) -> None:
    structure = Structure(Lattice.cubic(4.08), ["Li", species], PLACES)
    for function in (Crystal.from_structure, as_crystal):
        with pytest.warns(crystext.ReadingWarning, match=r"is read as hydrogen \(site 2\)"):
            crystal = function(structure)
        assert crystal.symbols == ["Li", "H"]


def test_a_mass_tells_the_isotope_of_hydrogen_in_atoms_of_ase() -> None:
    with pytest.warns(ReadingWarning, match="deuterium"):
        assert as_crystal(heavy(2.014)).symbols == ["Li", "H"]
    with pytest.warns(ReadingWarning, match="tritium"):
        assert as_crystal(heavy(3.016)).symbols == ["Li", "H"]


def test_a_site_that_hydrogen_and_deuterium_share_stays_disordered() -> None:
    mixed = Structure(Lattice.cubic(4.08), [{"H": 0.5, "D": 0.5}], [[0, 0, 0]])
    with pytest.raises(InputError, match="site 1 is disordered"):
        Crystal.from_structure(mixed)


def test_a_note_names_few_sites_and_each_isotope() -> None:
    symbols = [*enumerate(["D"] * 7 + ["T", "H"], start=1)]
    assert isotope_notes(symbols) == (
        "deuterium is read as hydrogen (sites 1, 2, 3, 4, 5 and 2 more): texts know elements, not "
        "isotopes",
        "tritium is read as hydrogen (site 8): texts know elements, not isotopes",
    )
    assert isotope_notes([(1, "H"), (2, "Dy")]) == ()


def test_the_mass_that_pymatgen_keeps_is_in_none_of_its_files() -> None:
    """The reason why an isotope is noted where it is read: no file that follows can tell."""
    assert STRUCTURE[1].specie.atomic_mass == pytest.approx(2.014, abs=1e-3)
    assert STRUCTURE.as_dict()["sites"][1]["species"][0]["element"] == "H"
    for format in ("cif", "poscar"):
        again = Structure.from_str(STRUCTURE.to(fmt=format), fmt=format)
        assert np.isclose(float(again[1].specie.atomic_mass), 1.008, atol=1e-3)
