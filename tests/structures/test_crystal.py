from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import spglib
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import DummySpecies, Element
from pymatgen.core.structure import Structure

from crystext.chemistry.elements import ELECTRONEGATIVITIES, SYMBOLS
from crystext.errors import InputError
from crystext.structures.crystal import (
    Crystal,
    angles_form_cell,
    basis_vectors,
    cell_volume,
    lengths_and_angles,
)
from crystext.text import decode, encode
from tests.example_crystals import NACL, QUARTZ, SRTIO3, WURTZITE
from tests.strategies import crystals


def arrays(crystal: Crystal) -> tuple[np.ndarray, ...]:
    return crystal.lengths, crystal.angles, crystal.numbers, crystal.positions


def space_group(crystal: Crystal) -> int:
    found = spglib.get_symmetry_dataset(
        (crystal.lattice, crystal.positions, crystal.numbers), symprec=0.01
    )
    assert found is not None
    return int(found.number)


@given(crystal=crystals(max_atoms=3))
def test_cell_and_volume_are_pymatgens(crystal: Crystal) -> None:
    lattice = Lattice.from_parameters(*crystal.lengths.tolist(), *crystal.angles.tolist())
    metric = crystal.lattice @ crystal.lattice.T
    assert np.allclose(metric, lattice.matrix @ lattice.matrix.T, rtol=1e-6, atol=1e-6)
    assert crystal.volume == pytest.approx(lattice.volume, rel=1e-5)
    assert np.linalg.det(crystal.lattice) == pytest.approx(crystal.volume, rel=1e-5)


@given(pair=st.tuples(crystals(max_atoms=1), crystals(max_atoms=1)))
def test_lengths_and_angles_of_vectors_are_those_that_made_them(
    pair: tuple[Crystal, Crystal],
) -> None:
    lengths, angles = lengths_and_angles(np.stack([crystal.lattice for crystal in pair]))
    assert np.allclose(lengths, [crystal.lengths for crystal in pair])
    assert np.allclose(angles, [crystal.angles for crystal in pair], atol=1e-3)


@given(angles=st.tuples(*[st.integers(1, 17999).map(lambda x: x / 100)] * 3))
def test_angles_form_a_cell_just_where_its_volume_is_above_zero(
    angles: tuple[float, float, float],
) -> None:
    # Whole hundredths of a degree decide the question exactly.
    cents = [round(100 * x) for x in angles]
    closes = sum(cents) < 36000 and 2 * max(cents) < sum(cents)
    assert angles_form_cell(*angles) == closes
    assert (cell_volume(np.ones(3), np.array(angles)) > 0) == closes
    assert np.isfinite(basis_vectors(np.ones(3), np.array(angles))).all() == closes


def test_many_cells_are_computed_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    lengths, angles = rng.uniform(1, 20, (7, 3)), rng.uniform(50, 110, (7, 3))
    for i, (row, matrix) in enumerate(zip(lengths, basis_vectors(lengths, angles), strict=True)):
        assert np.array_equal(matrix, basis_vectors(row, angles[i]))
    volumes = [cell_volume(a, b) for a, b in zip(lengths, angles, strict=True)]
    assert np.array_equal(cell_volume(lengths, angles), volumes)


@settings(max_examples=50)
@given(crystal=crystals(max_atoms=6))
def test_a_crystal_survives_the_way_through_pymatgen(crystal: Crystal) -> None:
    back = Crystal.from_structure(crystal.structure)
    assert back.numbers.tolist() == crystal.numbers.tolist()
    assert np.allclose(back.lengths, crystal.lengths, rtol=1e-9)
    assert np.allclose(back.angles, crystal.angles, atol=1e-5)
    assert np.array_equal(back.positions, crystal.positions)


@pytest.mark.parametrize(
    ("crystal", "number"), [(NACL, 225), (SRTIO3, 221), (WURTZITE, 186), (QUARTZ, 152)]
)
def test_known_crystals_have_their_space_group_before_and_after_the_text(
    crystal: Crystal, number: int
) -> None:
    read = decode(encode(crystal)).crystal
    assert read is not None
    assert space_group(crystal) == space_group(read) == number


def test_a_left_handed_basis_keeps_the_chirality() -> None:
    matrix = QUARTZ.lattice
    # Another basis of the same crystal in space: a and b change places, and so do coordinates.
    swapped = Structure(
        matrix[[1, 0, 2]], QUARTZ.symbols, QUARTZ.positions[:, [1, 0, 2]], to_unit_cell=True
    )
    assert np.linalg.det(swapped.lattice.matrix) < 0
    taken = Crystal.from_structure(swapped)
    assert space_group(taken) == 152
    mirrored = Crystal(QUARTZ.lengths, QUARTZ.angles, QUARTZ.numbers, -QUARTZ.positions)
    assert space_group(mirrored) == 154
    distances = np.sort(taken.structure.distance_matrix, axis=None)
    assert np.allclose(distances, np.sort(swapped.distance_matrix, axis=None), atol=1e-8)


def test_atoms_in_text_order_keep_their_sequence_within_an_element() -> None:
    ordered = NACL.in_text_order()
    assert ordered.symbols == ["Na"] * 4 + ["Cl"] * 4
    assert SRTIO3.in_text_order().positions[2:].tolist() == SRTIO3.positions[:3].tolist()
    assert ordered.in_text_order() is ordered


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_electronegativities_and_symbols_are_pymatgens() -> None:
    for z, (symbol, value) in enumerate(zip(SYMBOLS, ELECTRONEGATIVITIES, strict=True), start=1):
        element = Element.from_Z(z)
        assert element.symbol == symbol
        assert value == element.X or (math.isnan(value) and math.isnan(element.X))


def test_oxidation_states_spins_and_site_properties_are_left_behind() -> None:
    structure = NACL.structure
    structure.add_site_property("magmom", [1.0] * 8)
    structure.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    structure.add_spin_by_element({"Na": 5})
    assert encode(structure) == encode(NACL)


CUBE = Lattice.cubic(4.0)


@pytest.mark.parametrize(
    ("species", "message"),
    [
        ({"Na": 0.5, "K": 0.5}, r"site 2 is disordered \(occupied by Na 0.5, K 0.5\)"),
        ({"Na": 0.75}, r"site 2 is disordered \(occupied by Na 0.75\)"),
        (DummySpecies("X"), "site 2 holds X0.*not an element"),
        (DummySpecies("Qa", 2), "site 2 holds Qa2.*not an element"),
    ],
)
def test_a_site_that_is_not_one_element_is_named(species: object, message: str) -> None:
    structure = Structure(CUBE, ["Cl", species], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=message):
        encode(structure)


def test_a_coordinate_that_is_not_finite_is_named() -> None:
    structure = Structure(CUBE, ["Cl", "Na"], [[0, 0, 0], [0.5, math.nan, 0.5]])
    with pytest.raises(InputError, match=r"site 2 \(Na\) has a coordinate that is not finite"):
        Crystal.from_structure(structure)


def test_an_empty_structure_is_no_crystal() -> None:
    with pytest.raises(InputError, match="no atom"):
        Crystal.from_structure(Structure(CUBE, [], []))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[4, 0, 0], [0, 4, 0], [4, 4, 0]], "no volume"),
        ([[4, 0, 0], [0, math.nan, 0], [0, 0, 4]], "not finite"),
        ([[4, 0, 0], [0, 0, 0], [0, 0, 4]], "not finite|no volume"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_cell_without_volume_is_no_crystal(matrix: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Crystal.from_structure(Structure(Lattice(matrix), ["Na"], [[0, 0, 0]]))


def test_lists_make_the_crystal_that_arrays_make() -> None:
    listed = Crystal(*(x.tolist() for x in arrays(SRTIO3)))
    assert listed == SRTIO3
    assert encode(listed) == encode(SRTIO3)
    kinds = [x.dtype for x in arrays(listed)]
    assert kinds == [np.float64, np.float64, np.int64, np.float64]
    small = Crystal(*(x.astype(np.float32) for x in arrays(SRTIO3)))
    assert [x.dtype for x in arrays(small)] == kinds


def test_arrays_are_taken_as_they_are() -> None:
    again = Crystal(*arrays(NACL))
    assert all(x is y for x, y in zip(arrays(again), arrays(NACL), strict=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"numbers": [0]}, "no element has the atomic number 0; expected 1 to 118"),
        ({"numbers": [-1]}, "atomic number -1"),
        ({"numbers": np.array([119])}, "atomic number 119"),
        ({"numbers": [1.5]}, "expected atomic numbers, one for each atom"),
        ({"numbers": [math.nan]}, "expected atomic numbers"),
        ({"numbers": ["H"]}, r"the numbers of a crystal are \['H'\]"),
        ({"numbers": 1}, r"numbers \(\) and positions"),
        ({"numbers": [1, 1]}, r"expected \(3,\), \(3,\), \(N,\) and \(N, 3\)"),
        ({"positions": [0, 0, 0]}, "do not make a crystal"),
        ({"positions": [[0, 0, 0], [1]]}, "the positions of a crystal are"),
        ({"lengths": 4}, "lengths of shape"),
        ({"angles": "cubic"}, "the angles of a crystal are 'cubic'; expected numbers"),
    ],
    ids=str,
)
def test_what_cannot_be_a_crystal_is_refused_where_it_is_made(
    given: dict[str, Any], message: str
) -> None:
    cell = {"lengths": [4, 4, 4], "angles": [90, 90, 90], "numbers": [1], "positions": [[0, 0, 0]]}
    with pytest.raises(InputError, match=message):
        Crystal(**{**cell, **given})


@pytest.mark.parametrize(
    "given", [Atoms("H", cell=[4, 4, 4], pbc=True), "NaCl.cif", None], ids=repr
)
def test_what_is_no_structure_is_not_encoded_and_told_how_it_could_be(given: Any) -> None:
    with pytest.raises(
        InputError, match=r"is not a pymatgen Structure; crystext\.as_crystal converts"
    ):
        encode(given)


def test_equal_crystals_are_equal_and_unhashable() -> None:
    again = Crystal(NACL.lengths, NACL.angles, NACL.numbers, NACL.positions.copy())
    assert again == NACL
    assert NACL != SRTIO3
    assert NACL != "NaCl"
    with pytest.raises(TypeError):
        hash(NACL)
