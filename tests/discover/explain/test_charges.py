"""Oxidation states and bond-valence sums of textbook crystals."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.discover.explain import charges
from crystext.discover.explain.charges import find_charges
from crystext.structures.crystal import Crystal
from tests.example_crystals import IRON, NACL, QUARTZ, SRTIO3


@pytest.mark.parametrize(
    ("crystal", "states"),
    [
        (NACL, {"Na": 1, "Cl": -1}),
        (SRTIO3, {"Sr": 2, "Ti": 4, "O": -2}),
    ],
)
def test_textbook_crystals_have_textbook_states(crystal: Crystal, states: dict[str, int]) -> None:
    found = find_charges(crystal)
    assert found.states == tuple(states[symbol] for symbol in crystal.symbols)
    assert found.sums is not None
    assert found.sums == pytest.approx(found.states, abs=0.7)
    assert (found.composition_valid, found.problem) == (True, "")


def test_strontium_titanate_is_beyond_the_usual_limit_as_the_module_says() -> None:
    index = find_charges(SRTIO3).instability_index
    assert index is not None
    assert f"has {index:.2f}" in (charges.__doc__ or "")


def test_bond_valence_sums_are_those_of_the_formula() -> None:
    found = find_charges(NACL)
    assert found.sums is not None
    sodium = [value for value, s in zip(found.sums, NACL.symbols, strict=True) if s == "Na"]
    chlorine = [value for value, s in zip(found.sums, NACL.symbols, strict=True) if s == "Cl"]
    assert sodium == pytest.approx([-x for x in chlorine])
    wider = Crystal(NACL.lengths * 1.1, NACL.angles, NACL.numbers, NACL.positions)
    shrunk = find_charges(wider).sums
    assert shrunk is not None
    ratio = np.exp(-1.015 * (2.82 * 0.1) / 0.31)
    assert shrunk[0] == pytest.approx(found.sums[0] * ratio, rel=1e-6)


def test_a_crystal_with_stretched_bonds_is_unstable() -> None:
    # In the example, each silicon has two of its four oxygens beyond 2.6 Å.
    found = find_charges(QUARTZ)
    assert found.states == tuple({"Si": 4, "O": -2}[symbol] for symbol in QUARTZ.symbols)
    assert found.instability_index is not None
    assert found.instability_index > 0.5


def test_where_no_states_fit_it_says_so() -> None:
    squeezed = Crystal(SRTIO3.lengths * 0.7, SRTIO3.angles, SRTIO3.numbers[[0, 1, 2, 3]],
                       SRTIO3.positions[[0, 1, 2, 3]])  # fmt: skip
    found = find_charges(squeezed)
    assert found.states is None
    assert found.problem == "no oxidation states that balance fit the bond valences"
    assert found.instability_index is None
    metal = find_charges(IRON)
    assert (metal.states, metal.usual_states, metal.composition_valid) == (None, None, True)


def test_elements_without_parameters_are_named() -> None:
    neon = Crystal(np.full(3, 4.4), np.full(3, 90.0), np.array([10]), np.zeros((1, 3)))
    found = find_charges(neon)
    assert (found.states, found.sums) == (None, None)
    assert found.problem == "no bond-valence parameters are known for Ne"
