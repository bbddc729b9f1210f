"""Compounds by chemical system, held against a search through all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.energies.phases import formula_of, make_compounds

symbols = st.sampled_from(SYMBOLS[:103])
compositions = st.dictionaries(symbols, st.integers(1, 9), min_size=1, max_size=4)
tables = st.lists(st.tuples(compositions, st.floats(-5, 5)), max_size=12)


@given(tables, st.sets(symbols, min_size=1, max_size=8))
def test_the_compounds_of_a_system_are_those_that_hold_no_other_element(table, system):
    compounds = make_compounds(table)
    numbers = [ATOMIC_NUMBERS[symbol] for symbol in system]
    held = [set(compounds.composition(i)) for i in range(len(compounds))]
    assert compounds.within(numbers).tolist() == [i for i, h in enumerate(held) if h <= system]
    assert compounds.with_exactly(numbers).tolist() == [
        i for i, h in enumerate(held) if h == system
    ]


@given(tables)
def test_a_compound_is_found_by_any_multiple_of_its_composition(table):
    compounds = make_compounds(table)
    for i in range(len(compounds)):
        amounts = {ATOMIC_NUMBERS[s]: 3 * n for s, n in compounds.composition(i).items()}
        assert compounds.find(amounts) == i
        numbers = sorted(amounts)
        expected = np.array([amounts[z] for z in numbers]) / sum(amounts.values())
        found = compounds.fractions(np.array([i]), numbers)[:, 0]
        assert found == pytest.approx(expected)


@given(tables)
def test_of_each_composition_the_lowest_energy_is_kept_and_no_element(table):
    compounds = make_compounds(table)
    lowest = {}
    for composition, energy in table:
        if len(composition) > 1:
            key = formula_of(composition)
            lowest[key] = min(energy, lowest.get(key, np.inf))
    assert {formula_of(c): e for c, e in compounds} == lowest


def test_formulas_have_the_smallest_whole_counts_and_the_usual_order():
    assert formula_of({"O": 8.0, "P": 2.0, "Li": 6.0}) == "Li3PO4"
    assert formula_of({"Co": 1.0, "O": 2.0, "Li": 0.5}) == "Li0.5CoO2"
    assert formula_of({"N": 1, "Na": 1}) == "NaN"


def test_a_composition_that_is_not_there_is_not_found():
    compounds = make_compounds([({"Na": 1, "Cl": 1}, -2.0)])
    assert compounds.find({11: 1, 17: 2}) is None
    assert compounds.find({11: 1, 19: 1}) is None
    assert len(make_compounds([])) == 0
    assert make_compounds([]).within([1, 8]).tolist() == []
