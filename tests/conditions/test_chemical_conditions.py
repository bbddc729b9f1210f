"""The conditions on oxidation states, units and numbers of atoms of elements."""

from __future__ import annotations

from typing import Any

import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from crystext.chemistry.elements import ELEMENT_LISTS
from crystext.conditions import ConditionResult, Conditions
from crystext.errors import SettingError
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, QUARTZ, SRTIO3, WURTZITE

BORON_PHOSPHATE = Crystal.from_structure(
    Structure.from_spacegroup(
        "I-4",
        Lattice.tetragonal(4.338, 6.645),
        ["P", "B", "O"],
        [[0, 0, 0], [0, 0.5, 0.25], [0.138, 0.260, 0.128]],
    )
)
"""BPO4: each P and each B in four O, each O between them."""


def result(crystal: Crystal, **keywords: Any) -> ConditionResult:
    (found,) = Conditions.from_keywords(**keywords).check(crystal)
    return found


@pytest.mark.parametrize(
    ("crystal", "wanted", "actual", "satisfied"),
    [
        (BORON_PHOSPHATE, "PO4", "PO4", True),
        (BORON_PHOSPHATE, "PO6", "PO4", False),
        (BORON_PHOSPHATE, "PO4 PO6 BO4", "BO4 PO4", True),
        (BORON_PHOSPHATE, "OBP", "OBP", True),
        (SRTIO3, "TiO6", "TiO6", True),
        (WURTZITE, ["ZnS4", "SZn4"], "SZn4 ZnS4", True),
        (NACL, "NaCl6", "NaCl6", True),
        (NACL, "PO4", "no P", False),
    ],
)
def test_units_are_the_nearest_neighbours_of_every_atom(
    crystal: Crystal, wanted: Any, actual: str, satisfied: bool
) -> None:
    found = result(crystal, unit=wanted)
    assert (found.handling, found.actual, found.satisfied) == ("checked", actual, satisfied)


@pytest.mark.parametrize(
    ("crystal", "wanted", "actual", "satisfied"),
    [
        (NACL, "Na=1", "Na=1 Cl=-1", True),
        (QUARTZ, {"Si": 4}, "Si=4 O=-2", True),
        (QUARTZ, {"Si": [-4]}, "charge -8 in SiO2", False),
        (SRTIO3, "Ti=3,4", "Sr=2 Ti=4 O=-2", True),
        (SRTIO3, "Ti=3", "charge -1 in SrTiO3", False),
        (NACL, "P=5", "Na=1 Cl=-1", True),
    ],
)
def test_charges_balance_with_the_states_given(
    crystal: Crystal, wanted: Any, actual: str, satisfied: bool
) -> None:
    found = result(crystal, oxidation=wanted)
    assert (found.handling, found.actual, found.satisfied) == ("checked", actual, satisfied)


@pytest.mark.parametrize(
    ("wanted", "satisfied"),
    [("Na=4", True), ("Na=2-4 Cl=4-8", True), ({"Na": (5, 8)}, False), ("U=0-2", True)],
)
def test_numbers_of_atoms_of_elements_are_enforced(wanted: Any, satisfied: bool) -> None:
    found = result(NACL, atoms_of=wanted)
    assert (found.handling, found.satisfied) == ("enforced", satisfied)


@pytest.mark.parametrize(
    ("spellings", "canonical"),
    [
        ({"oxidation": ["P=3,5", "Li=1"]}, "Li=1 P=3,5"),
        ({"oxidation": "P=+5,3;Li=1"}, "Li=1 P=3,5"),
        ({"oxidation": {"P": [5, 3], "Li": 1}}, "Li=1 P=3,5"),
        ({"unit": "PO4,SiO4"}, "PO4 SiO4"),
        ({"unit": ["PO4", "SiO4", "PO4"]}, "PO4 SiO4"),
        ({"atoms_of": ["Li=2-4", "P=1"]}, "Li=2-4 P=1"),
        ({"atoms_of": {"P": 1, "Li": (2, 4)}}, "Li=2-4 P=1"),
    ],
    ids=str,
)
def test_every_spelling_requests_the_same(spellings: dict[str, Any], canonical: str) -> None:
    assert list(Conditions.from_keywords(**spellings).requested().values()) == [canonical]


def test_lists_of_elements_are_excluded_by_name() -> None:
    found = Conditions.from_keywords(exclude="radioactive,noble-gas,Hg-Tl").exclude
    assert set(found) == {*ELEMENT_LISTS["radioactive"], *ELEMENT_LISTS["noble-gas"], "Hg", "Tl"}
    assert {"Tc", "Pm", "Po", "U", "Og", "He"} <= set(found)
    assert not {"Bi", "Pb", "Nd"} & set(found)


def test_units_and_least_numbers_require_their_elements() -> None:
    asked = Conditions.from_keywords(unit="PO4", atoms_of="Li=2-4 Na=0-2", only="Li Na P O")
    assert asked.required_elements == ("Li", "P", "O")
    constraints = asked.constraints()
    assert (constraints.require, constraints.counts) == (
        ("Li", "P", "O"),
        (("Na", 0, 2), ("Li", 2, 4)),
    )
    either = Conditions.from_keywords(unit="PO4 PS4")
    assert either.required_elements == ("P",)


def test_a_formula_takes_the_numbers_of_units_that_have_the_atoms() -> None:
    asked = Conditions.from_keywords(composition="Li3PO4", atoms_of="Li=4-8")
    constraints = asked.constraints(max_atoms=20)
    assert (constraints.formula_units, constraints.counts) == ((2,), ())


def test_only_filters_are_filters() -> None:
    asked = Conditions.from_keywords(oxidation="P=5", unit="PO4", atoms_of="P=1", neutral=True)
    assert asked.filters == ("oxidation", "unit")
    assert asked.not_in_prompt() == ("atoms_of",)
    assert asked.prompt_properties() == {}


def test_a_subsystem_keeps_the_states_of_its_elements() -> None:
    asked = Conditions.from_keywords(chemical_system="Li-P-O", oxidation="P=5 Li=1")
    part = asked.within(("Li", "O"))
    assert part.requested() == {"chemical_system": "Li-O", "oxidation": "Li=1"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"oxidation": "P"}, "such as P=5"),
        ({"oxidation": "P=9"}, "it is known in"),
        ({"oxidation": "Pp=5"}, "no element 'Pp'"),
        ({"oxidation": 5}, "such as P=5"),
        ({"unit": "P4"}, "an atom and its nearest neighbours"),
        ({"unit": "P"}, "is not one atom with neighbours"),
        ({"unit": "PO4x"}, "is not a formula"),
        ({"atoms_of": "Li=4-2"}, "try 2-4"),
        ({"atoms_of": "Li=0"}, "exclude Li instead"),
        ({"atoms_of": "Li"}, "such as Li=4"),
        ({"atoms_of": "Li=two"}, "such as Li=4"),
        ({"atoms_of": ["Li=2", "Li=3"]}, "given twice"),
        ({"exclude": "radiactive"}, "Did you mean 'radioactive'?"),
        ({"exclude": "noble"}, "noble-gas"),
        ({"composition": "Li2P2O", "oxidation": "P=5"}, "the nearest that is neutral is LiPO3"),
        ({"composition": "LiCl", "oxidation": "P=5"}, "which LiCl does not have"),
        ({"chemical_system": "Li-P", "oxidation": "P=5"}, "is neutral with Li +1, P +5"),
        ({"chemical_system": "Li-O", "oxidation": "P=5"}, "P, which cannot occur in Li-O"),
        ({"chemical_system": "Li-O", "unit": "PO4"}, "P cannot occur in Li-O"),
        ({"only": "P O", "exclude": "P", "unit": "PO4"}, "P is both requested and excluded"),
        ({"composition": "Li3PO4", "atoms_of": "Li=4"}, "give multiples"),
        ({"composition": "Li3PO4", "atoms_of": "Na=1"}, "Na cannot occur in Li3PO4"),
        ({"n_atoms": 4, "atoms_of": "Li=3 O=2"}, "need 5 atoms in 4 atoms"),
        (
            {"chemical_system": "Li-O", "atoms_of": "Li=1-2 O=1-2", "n_atoms": 8},
            "ask for 4 or fewer",
        ),
        ({"only": "Li O", "atoms_of": "Na=1"}, "Na is requested, but not among"),
        (
            {"chemical_system": "Li-O", "atoms_of": "Li=1-2 O=4-5", "oxidation": "Li=1"},
            "is neutral with Li +1, O -2",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_what_would_do(
    wanted: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        Conditions.from_keywords(**wanted).constraints()
    assert expected in str(refusal.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingError) as refusal:
        Conditions.from_keywords(oxidation="P=9 Xx=1", unit="P", exclude="nobel-gas", n_atoms="x")
    message = str(refusal.value)
    for fault in ("state 9", "no element 'Xx'", "unit: P is not", "'noble-gas'", "such as 8-20"):
        assert fault in message
