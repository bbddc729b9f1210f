from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.conditions import CONDITION_NAMES, ConditionResult, Conditions, all_satisfied
from crystext.errors import SettingError
from crystext.structures.crystal import Crystal
from crystext.structures.property_schema import format_properties
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

ROCK_SALT: dict[str, Any] = {
    "composition": "NaCl",
    "chemical_system": "Cl-Na",
    "elements": "Cl",
    "only": "Na Cl O",
    "exclude": "U",
    "n_atoms": len(NACL),
    "space_group": 225,
    "crystal_system": "cubic",
    "density": 2.16,
    "neutral": True,
    "atoms_of": "Na=4 Cl=2-8",
    "oxidation": "Na=1",
    "unit": "NaCl6",
}
"""What rock salt is."""

OTHERS: dict[str, Any] = {
    "composition": "Na2Cl",
    "chemical_system": "Cl-Na-O",
    "elements": "O",
    "only": "Na O",
    "exclude": "U Cl",
    "n_atoms": "9-20",
    "space_group": 221,
    "crystal_system": "hexagonal",
    "density": 2.5,
    "atoms_of": "Na=1-3",
    "oxidation": "Cl=5",
    "unit": "NaCl4",
}
"""What it is not."""


def record(conditions: Conditions, crystal: Crystal | None = NACL, **how: bool) -> ConditionResult:
    (kept,) = conditions.check(crystal, **how)
    return kept


@pytest.mark.parametrize("name", ROCK_SALT)
def test_a_crystal_keeps_what_it_has(name: str) -> None:
    kept = record(Conditions.from_keywords(**{name: ROCK_SALT[name]}))
    assert (kept.name, kept.satisfied) == (name, True)


@pytest.mark.parametrize("name", OTHERS)
def test_a_crystal_does_not_keep_what_it_lacks(name: str) -> None:
    kept = record(Conditions.from_keywords(**{name: OTHERS[name]}))
    assert kept.satisfied is False
    assert kept.actual is not None
    assert not all_satisfied([kept])


@pytest.mark.parametrize("name", ["formation_energy", "band_gap", "e_above_hull"])
def test_what_nothing_can_tell_is_neither_kept_nor_broken(name: str) -> None:
    kept = record(Conditions.from_keywords(**{name: 0.5}))
    assert (kept.handling, kept.actual, kept.satisfied) == ("steered", None, None)
    assert all_satisfied([kept])


def test_a_text_that_is_no_crystal_keeps_nothing_that_could_be_checked() -> None:
    records = Conditions.from_keywords(**ROCK_SALT, band_gap=5).check(None)
    assert {kept.name: kept.satisfied for kept in records} == {
        **dict.fromkeys(ROCK_SALT, False),
        "band_gap": None,
    }


def test_records_tell_what_was_seen_to_what_was_said_and_what_neither() -> None:
    asked = Conditions.from_keywords(**ROCK_SALT)
    seen_to = {kept.name for kept in asked.check(NACL) if kept.handling == "enforced"}
    assert seen_to == {*ROCK_SALT} - {"space_group", "crystal_system", "density", "unit"}
    free = {kept.name: kept.handling for kept in asked.check(NACL, constrained=False)}
    assert {name for name, how in free.items() if how == "checked"} == {
        "elements", "only", "exclude", "neutral", "atoms_of", "oxidation", "unit",
    }  # fmt: skip
    assert "enforced" not in free.values()


def test_a_density_is_kept_within_a_twentieth() -> None:
    kept = {
        value: record(Conditions.from_keywords(density=value)).satisfied
        for value in (2.07, 2.25, 1.9, 2.5)
    }
    assert kept == {2.07: True, 2.25: True, 1.9: False, 2.5: False}


@pytest.mark.parametrize("crystal", EXAMPLE_CRYSTALS.values(), ids=[*EXAMPLE_CRYSTALS])
def test_a_prompt_says_properties_as_training_does(crystal: Crystal) -> None:
    labels = {"space_group": 14, "formation_energy": -0.001, "band_gap": 1, "e_above_hull": 0.0123}
    known = format_properties(crystal, labels)
    for names in (["composition", "space_group"], ["chemical_system", "n_atoms", "density"],
                  ["crystal_system", "formation_energy", "band_gap", "e_above_hull"]):  # fmt: skip
        given = {name: labels.get(name, known.get(name, known["formula"])) for name in names}
        asked = Conditions.from_keywords(**given).prompt_properties()
        assert len(asked) == len(names)
        assert asked.items() <= known.items()


@pytest.mark.parametrize(
    ("n_atoms", "lines"),
    [
        (8, {"formula": "Na4Cl4"}),
        (2, {"formula": "NaCl", "n_atoms": "2"}),
        ("2-8", {"formula": "NaCl"}),
        (None, {"formula": "NaCl"}),
    ],
)
def test_the_formula_of_a_cell_of_known_size_says_the_size(
    n_atoms: Any, lines: dict[str, str]
) -> None:
    assert (
        Conditions.from_keywords(composition="NaCl", n_atoms=n_atoms).prompt_properties() == lines
    )


@pytest.mark.parametrize(
    "n_atoms",
    [8, "8", " 8-8 ", (8, 8), [8], 8.0, "8.0", np.int64(8), np.float32(8), np.array([8, 8])],
)
def test_numbers_of_atoms_may_be_given_in_many_ways(n_atoms: Any) -> None:
    assert Conditions.from_keywords(n_atoms=n_atoms).n_atoms == (8, 8)


def test_what_numpy_holds_asks_for_what_python_does() -> None:
    given = {
        "elements": np.array(["Li", "O"]),
        "n_atoms": np.array([4, 8]),
        "space_group": np.int64(225),
        "density": np.float64(5.0),
        "neutral": np.bool_(True),
    }
    plain = {name: value.tolist() for name, value in given.items()}
    assert Conditions.from_keywords(**given) == Conditions.from_keywords(**plain)
    assert all(
        type(value) in (str, int, float, bool)
        for value in Conditions.from_keywords(**given).requested().values()
    )


@pytest.mark.parametrize(
    "nothing", [None, "", " ", (), [], set(), frozenset(), np.array([])], ids=repr
)
def test_nothing_of_any_kind_asks_for_nothing(nothing: Any) -> None:
    assert not Conditions.from_keywords(**dict.fromkeys(CONDITION_NAMES, nothing))


def test_elements_may_be_a_set() -> None:
    assert Conditions.from_keywords(elements={"O", "Li"}).elements == ("Li", "O")


def test_elements_and_alloys_of_metals_count_as_neutral() -> None:
    for formula in ("O2", "FeNi3"):
        assert Conditions.from_keywords(composition=formula, neutral=True).neutral


texts = {
    "composition": st.sampled_from(["LiO", "Li2O2", "O Li"]),
    "chemical_system": st.sampled_from(["Li-O", ["O", "Li"]]),
    "elements": st.sampled_from(["O", ["Li"], "Li,O"]),
    "only": st.sampled_from(["Li O Fe", ["O", "Li"]]),
    "exclude": st.sampled_from(["U", "Th-U", ["Pu"], "radioactive"]),
    "n_atoms": st.sampled_from(["2-8", 8, (4, 20)]),
    "space_group": st.sampled_from([225, "Fm-3m", "221"]),
    "crystal_system": st.just("Cubic"),
    "density": st.floats(0.1, 20),
    "formation_energy": st.floats(-5, 5),
    "band_gap": st.floats(0, 10),
    "e_above_hull": st.floats(0, 1),
    "neutral": st.sampled_from([False, "no"]),
    "atoms_of": st.sampled_from(["Li=1-4 O=4", "O=2-6 Li=2-8", {"O": (2, 4)}]),
    "oxidation": st.sampled_from(["O=-1", {"O": [-2, -1]}, ["Li=1", "O=-1"]]),
    "unit": st.sampled_from(["LiO4", ["LiO6", "OLi8"]]),
}


@given(wanted=st.fixed_dictionaries({}, optional=texts))
def test_what_is_recorded_as_asked_asks_for_the_same(wanted: dict[str, Any]) -> None:
    conditions = Conditions.from_keywords(**wanted)
    assert Conditions.from_keywords(**conditions.requested()) == conditions
    assert bool(conditions) == bool(conditions.requested())
    assert set(conditions.requested()) <= set(CONDITION_NAMES) == set(texts)


def test_conditions_become_the_constraints_that_keep_them() -> None:
    system = Conditions.from_keywords(
        chemical_system="Li-O", elements="O", n_atoms="4-20", space_group=225
    )
    found = system.constraints(max_atoms=20, min_distance_ratio=0.5)
    assert (found.min_atoms, found.max_atoms, found.min_distance_ratio) == (4, 20, 0.5)
    assert (found.require, found.only) == (("Li", "O"), ("Li", "O"))
    assert found.crystal_system == "cubic"
    formula = Conditions.from_keywords(composition="LiFePO4", exclude="U").constraints()
    assert formula.formula == (("Li", 1), ("Fe", 1), ("P", 1), ("O", 4))
    assert (formula.exclude, formula.max_atoms) == (("U",), 20)
    few = Conditions.from_keywords(
        elements="O", only="O-Li", crystal_system="hexagonal"
    ).constraints()
    assert (few.require, few.only, few.crystal_system) == (("O",), ("Li", "O"), "hexagonal")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"compostion": "NaCl"}, "Did you mean 'composition'?"),
        ({"elements": "Fe Xx"}, "no element 'Xx'"),
        ({"space_group": 231}, "expected 1 to 230. The nearest is 230"),
        ({"crystal_system": "cubik"}, "Did you mean 'cubic'?"),
        ({"n_atoms": "20-8"}, "try 8-20"),
        ({"n_atoms": "0"}, "such as 8-20"),
        ({"n_atoms": "many"}, "such as 8-20"),
        ({"n_atoms": 4.5}, "such as 8-20"),
        ({"n_atoms": True}, "such as 8-20"),
        ({"elements": 26}, "expected symbols, such as Li-Fe-O"),
        ({"density": -1}, "expected 0.01 to 30; the nearest is 0.01"),
        ({"density": "nan"}, "expected 0.01 to 30"),
        ({"band_gap": "wide"}, "expected a number in eV"),
        ({"e_above_hull": -0.1}, "the nearest is 0"),
        ({"neutral": "maybe"}, "expected yes or no"),
        ({"composition": "NaCl2", "neutral": True}, "the nearest that can is NaCl"),
        ({"space_group": 225, "crystal_system": "hexagonal"}, "is cubic, not hexagonal"),
        ({"elements": "Li", "exclude": "Li"}, "Li is both requested and excluded"),
        ({"composition": "NaCl", "exclude": "Na"}, "Na is both requested and excluded"),
        ({"composition": "NaCl", "chemical_system": "Na-O"}, "or ask for Na-Cl"),
        ({"composition": "NaCl", "elements": "O"}, "O cannot occur in NaCl"),
        ({"composition": "NaCl", "only": "Na O"}, "Cl is requested, but not among"),
        ({"chemical_system": "Li-Fe", "elements": "O"}, "ask for the chemical system Li-Fe-O"),
        ({"chemical_system": "Li-Fe", "only": "Li"}, "Fe, which is not among"),
        ({"only": "Li", "exclude": "Li"}, "leave at least one of Li"),
        ({"composition": "NaCl", "n_atoms": 5}, "take 4 or 6 atoms"),
        ({"elements": "Li Na K", "n_atoms": 2}, "3 elements are required in 2 atoms"),
    ],
    ids=str,
)
def test_what_no_crystal_can_be_is_refused_with_what_would_do(
    wanted: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        Conditions.from_keywords(**wanted)
    assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"composition": "Ca5P3O13H"}, "has 22 atoms, and a crystal may have 20"),
        ({"n_atoms": 24}, "request 20 or fewer, or set max_atoms 24"),
        ({"composition": "LiFePO4", "n_atoms": "15-21"}, "take 14 or 21 atoms"),
        ({"composition": "LiFePO4", "n_atoms": "7-28"}, "request 7-20, or set max_atoms 28"),
    ],
)
def test_what_does_not_fit_the_longest_crystal_is_refused(
    wanted: dict[str, Any], expected: str
) -> None:
    conditions = Conditions.from_keywords(**wanted)
    with pytest.raises(SettingError) as refusal:
        conditions.constraints(max_atoms=20)
    assert expected in str(refusal.value)
    conditions.constraints(max_atoms=28)
