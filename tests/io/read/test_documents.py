"""JSON of JARVIS, OPTIMADE, the Materials Project, pymatgen and ASE."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from pymatgen.core.structure import Molecule
from pymatgen.entries.computed_entries import ComputedStructureEntry

from crystext.io.read import read_crystal, read_crystals
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from tests.example_crystals import NACL, QUARTZ
from tests.io.read.cif_texts import CSCL, P1, cif_text
from tests.io.read.format_examples import JARVIS, OPTIMADE


def read(document: Any, tmp_path: Path) -> list[Record]:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    return list(read_crystals(path))


def problem(document: Any, tmp_path: Path) -> str:
    """Return why a document that comes beside a good one is not read."""
    items = read([document, {"name": "good", "structure": NACL.structure.as_dict()}], tmp_path)
    assert items[-1].name == "good"
    assert items[0].crystal is None
    return str(items[0].message)


def is_caesium_chloride(crystal: Crystal | None) -> bool:
    assert crystal is not None
    return (
        crystal.symbols == ["Cs", "Cl"]
        and np.allclose(crystal.lengths, 4.12)
        and np.allclose(crystal.positions, np.outer([0, 1], [0.5] * 3))
    )


def changed(document: Any, *path: str | int, value: Any) -> Any:
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def attributes(**values: Any) -> dict[str, Any]:
    entry: dict[str, Any] = copy.deepcopy(OPTIMADE["data"][0])
    entry["attributes"] |= values
    return entry


def test_an_entry_of_jarvis_is_read_alone_in_a_list_and_in_a_table(tmp_path: Path) -> None:
    for document in (JARVIS, [JARVIS, JARVIS], JARVIS["atoms"], {"JVASP-23862": JARVIS["atoms"]}):
        items = read(document, tmp_path)
        assert all(is_caesium_chloride(item.crystal) for item in items)
        assert items[0].name in ("JVASP-23862", "x-1")
    pq.write_table(pa.Table.from_pylist([JARVIS]), tmp_path / "x.parquet")
    (item,) = read_crystals(tmp_path / "x.parquet")
    assert is_caesium_chloride(item.crystal)
    assert item.id == "JVASP-23862"


def test_cartesian_coordinates_of_jarvis_are_read_as_such(tmp_path: Path) -> None:
    document = changed(JARVIS, "atoms", "cartesian", value=True)
    document["atoms"]["coords"] = [[0, 0, 0], [2.06, 2.06, 2.06]]
    assert is_caesium_chloride(read(document, tmp_path)[0].crystal)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("lattice_mat", [[4, 0, 0], [0, 4, 0]], "lattice_mat are not lists of three numbers"),
        ("lattice_mat", [[4, 0, 0], [4, 0, 0], [0, 0, 4]], "span no volume"),
        ("coords", [[0, 0, 0]], "2 elements and 1 positions"),
        ("elements", ["Cs", "Xx"], "site 2 holds 'Xx'"),
        ("elements", "CsCl", "elements are not a list of names"),
        ("abc", [5.0, 4.12, 4.12], "its abc are 5, 4.12, 4.12, but those of its lattice_mat"),
        ("angles", [90, 90, 60], "its angles are 90, 90, 60"),
        ("cartesian", "false", "its cartesian is 'false'; expected true or false"),
    ],
)
def test_a_broken_entry_of_jarvis_is_refused(
    key: str, value: Any, reason: str, tmp_path: Path
) -> None:
    assert reason in problem(changed(JARVIS, "atoms", key, value=value), tmp_path)


def test_an_entry_of_jarvis_without_a_structure_counts_as_one_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    for atoms in ("na", None, {"elements": []}):
        assert "its atoms lack lattice_mat" in problem({"jid": "JVASP-1", "atoms": atoms}, tmp_path)


def test_a_response_of_optimade_is_read_with_one_structure_and_with_many(tmp_path: Path) -> None:
    one = {**OPTIMADE, "data": OPTIMADE["data"][0]}
    many = {**OPTIMADE, "data": [OPTIMADE["data"][0]] * 3}
    for document, count in ((OPTIMADE, 1), (one, 1), (many, 3)):
        items = read(document, tmp_path)
        assert [item.name for item in items] == ["odbx/1"] * count
        assert all(is_caesium_chloride(item.crystal) for item in items)
        assert not any(item.notes for item in items)


def test_what_else_a_response_holds_is_no_structure(tmp_path: Path) -> None:
    document = {
        **OPTIMADE,
        "meta": {"warnings": ["data_\nfirst", "second"], "implementation": {"name": "x"}},
        "included": [{"id": "a", "type": "references", "attributes": {"title": "On\nsalt"}}],
    }
    assert [item.name for item in read(document, tmp_path)] == ["odbx/1"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"species": [{"name": "Cs1", "chemical_symbols": ["Cs", "Rb"],
                          "concentration": [0.6, 0.4]},
                         {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]}]},
            "site 1 is disordered (occupied by Cs 0.6, Rb 0.4)",
        ),
        (
            {"species": [{"name": "Cs1", "chemical_symbols": ["Cs"], "concentration": [0.6]},
                         {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]}]},
            "site 1 is disordered (occupied by Cs 0.6)",
        ),
        (
            {"species": [{"name": "Cs1", "chemical_symbols": ["vacancy"], "concentration": [1.0]},
                         {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]}]},
            "site 1 holds 'vacancy', which is not an element",
        ),
        (
            {"species": [{"name": "Cs1", "chemical_symbols": ["Cs"], "concentration": [1.0],
                          "attached": ["H"], "nattached": [3]},
                         {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]}]},
            "site 1 has atoms attached that are not placed",
        ),
        ({"species": []}, "site 1 is of 'Cs1', which is not among its species"),
        ({"species": None}, "'Cs1' is not an element; request species"),
        ({"structure_features": ["disorder"]}, "is disordered"),
        ({"structure_features": ["implicit_atoms"]}, "atoms that are not placed"),
        ({"lattice_vectors": None}, "it lacks lattice_vectors; expected a crystal"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [None] * 3]}, "lattice_vectors are not"),
        ({"cartesian_site_positions": [[0, 0, 0]]}, "2 elements and 1 positions"),
        ({"nsites": 3}, "it lists 2 sites, but nsites is 3"),
        ({"chemical_formula_reduced": "Cl2Cs"}, "but its chemical_formula_reduced is 'Cl2Cs'"),
        ({"elements": ["Cl", "Rb"]}, "its sites hold Cl, Cs, but elements has Cl, Rb"),
    ],
)  # fmt: skip
def test_what_optimade_says_of_no_ordered_crystal_is_refused(
    values: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    assert reason in problem(attributes(**values), tmp_path)


def test_names_of_species_without_a_list_are_elements_with_a_note(tmp_path: Path) -> None:
    entry = attributes(species=None, species_at_sites=["Cs", "Cl"])
    (item,) = read({"data": entry, "meta": {}}, tmp_path)
    assert is_caesium_chloride(item.crystal)
    assert item.notes == ("it lacks species: their names are read as elements",)


def test_optimade_keeps_the_chirality_of_a_left_handed_basis(tmp_path: Path) -> None:
    mirror = np.diag([1.0, 1.0, -1.0])
    document = attributes(
        lattice_vectors=(QUARTZ.lattice @ mirror).tolist(),
        cartesian_site_positions=(QUARTZ.positions @ QUARTZ.lattice @ mirror).tolist(),
        species_at_sites=QUARTZ.symbols,
        species=None,
        elements=["O", "Si"],
        nsites=len(QUARTZ),
    )
    crystal = read({"data": document, "meta": {}}, tmp_path)[0].crystal
    assert crystal is not None
    assert np.allclose(crystal.positions, -QUARTZ.positions)


def test_documents_of_pymatgen_and_of_the_materials_project_are_read(tmp_path: Path) -> None:
    structure = NACL.structure.as_dict()
    entry = ComputedStructureEntry(NACL.structure, -10.0, entry_id="mp-22862-GGA").as_dict()
    without_matrix = {k: v for k, v in structure["lattice"].items() if k != "matrix"}
    documents: list[tuple[Any, str]] = [
        (structure, "x"),
        ({**structure, "lattice": without_matrix}, "x"),
        (entry, "mp-22862-GGA"),
        ({"data": [{"material_id": "mp-22862", "structure": structure}], "meta": {}}, "mp-22862"),
        ([{"material_id": "mp-22862", "structure": json.dumps(structure)}], "mp-22862"),
        ({"mp-22862": structure}, "mp-22862"),
    ]
    for document, name in documents:
        (item,) = read(document, tmp_path)
        assert item.crystal is not None, item.message
        assert (item.name, item.crystal.symbols) == (name, NACL.symbols)


def test_a_molecule_is_told_to_be_none(tmp_path: Path) -> None:
    molecule = Molecule(
        ["O", "H", "H"], np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    )
    assert "it is a molecule" in problem(molecule.as_dict(), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("lattice",), [], "its lattice is not an object"),
        (("lattice", "matrix"), [[1, 2], [3]], "not three vectors"),
        (("lattice", "a"), 9.5, "the a of its lattice is 9.5, but that of its matrix"),
        (("sites",), {}, "no list of sites"),
        (("sites", 0, "species"), "Na", "site 1 has no species"),
        (("sites", 0, "abc"), [0, 0], "site 1 has no coordinates"),
        (("sites", 1, "species", 0, "element"), "Xx", "site 2 holds 'Xx'"),
    ],
)
def test_a_broken_dictionary_of_pymatgen_is_answered_in_words(
    path: tuple[str | int, ...], value: Any, reason: str, tmp_path: Path
) -> None:
    structure = NACL.structure.as_dict()
    structure["sites"][0].pop("xyz", None)
    assert reason in problem(changed(structure, *path, value=value), tmp_path)


def test_json_of_ase_is_read_in_its_old_and_new_form(tmp_path: Path) -> None:
    atoms = Atoms(NACL.symbols, cell=NACL.lattice, scaled_positions=NACL.positions, pbc=True)
    ase.io.write(tmp_path / "x.json", atoms)
    assert read_crystal(tmp_path / "x.json").symbols == NACL.symbols
    old = {
        "1": {
            "cell": atoms.cell.tolist(),
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
        }
    }
    (item,) = read(old, tmp_path)
    assert item.crystal is not None
    assert np.allclose(item.crystal.positions, NACL.positions)


def test_texts_of_a_table_may_end_their_lines_as_old_programs_do(tmp_path: Path) -> None:
    cif = cif_text(CSCL, names=P1).replace("\n", "\r")
    pq.write_table(pa.table({"cif": [cif]}), tmp_path / "x.parquet")
    assert read_crystal(tmp_path / "x.parquet").symbols == ["Cs", "Cl"]
