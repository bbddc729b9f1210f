"""Charges balance exactly where some choice of a state for each atom makes them."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.chemistry.charge_balance import (
    can_balance,
    format_states,
    known_states,
    nearest_balanced_formula,
    neutral_states,
    smallest_charge,
    usual_states,
)
from crystext.chemistry.elements import SYMBOLS

states = st.lists(st.integers(-4, 5).filter(bool), min_size=1, max_size=3, unique=True).map(
    lambda x: tuple(sorted(x))
)
elements = st.dictionaries(
    st.sampled_from(("Li", "P", "O")), st.tuples(st.integers(1, 3), states), min_size=1
)


def all_charges(chosen: dict[str, tuple[int, tuple[int, ...]]]) -> set[int]:
    """Add up every choice of a state for each atom."""
    each = [
        {sum(choice) for choice in combinations_with_replacement(values, count)}
        for count, values in chosen.values()
    ]
    return {sum(parts) for parts in product(*each)}


@given(elements)
def test_a_formula_is_neutral_if_and_only_if_some_states_of_its_atoms_are(
    chosen: dict[str, tuple[int, tuple[int, ...]]],
) -> None:
    counts = tuple((symbol, count) for symbol, (count, _) in chosen.items())
    given_states = tuple((symbol, values) for symbol, (_, values) in chosen.items())
    charges = all_charges(chosen)
    found = neutral_states(counts, given_states)
    assert (found is not None) == (0 in charges)
    smallest = smallest_charge(dict(counts), dict(given_states))
    assert smallest is not None
    assert abs(smallest) == min(map(abs, charges))
    if found is not None:
        # The states that are told are some of those given, and make up the charge of zero.
        assert all(set(told) <= set(chosen[symbol][1]) for symbol, told in found)
        assert 0 in all_charges({symbol: (chosen[symbol][0], told) for symbol, told in found})


@given(elements, st.integers(1, 6))
def test_elements_balance_if_and_only_if_some_numbers_of_atoms_do(
    chosen: dict[str, tuple[int, tuple[int, ...]]], most: int
) -> None:
    ranges = {symbol: (1, count) for symbol, (count, _) in chosen.items()}
    given_states = {symbol: values for symbol, (_, values) in chosen.items()}
    every = product(*(range(low, high + 1) for low, high in ranges.values()))
    fitting = any(
        sum(numbers) <= most
        and 0
        in all_charges({s: (n, given_states[s]) for s, n in zip(ranges, numbers, strict=True)})
        for numbers in every
    )
    assert can_balance(ranges, given_states, (1, most)) == fitting


def test_magnetite_is_neutral_with_two_states_of_iron() -> None:
    found = neutral_states((("Fe", 3), ("O", 4)), (("Fe", (2, 3)),))
    assert found is not None
    assert format_states(found) == "Fe=2,3 O=-2"
    assert neutral_states((("Fe", 3), ("O", 4)), (("Fe", (3,)),)) is None


def test_usual_states_are_pymatgens_and_oxygen_has_one() -> None:
    from pymatgen.core.periodic_table import Element

    assert usual_states("O") == (-2,)
    assert usual_states("Ne") == ()
    for symbol in SYMBOLS:
        element = Element(symbol)
        assert set(usual_states(symbol)) == {
            *element.common_oxidation_states,
            *element.icsd_oxidation_states,
        } - {0}
        assert set(usual_states(symbol)) <= set(known_states(symbol))


@pytest.mark.parametrize(
    ("formula", "near"),
    [({"Li": 2, "P": 2, "O": 1}, {"Li": 1, "P": 1, "O": 3}), ({"Li": 9, "P": 1, "O": 1}, None)],
)
def test_the_nearest_neutral_formula_is_found_or_none(
    formula: dict[str, int], near: dict[str, int] | None
) -> None:
    assert nearest_balanced_formula(formula, {"P": (5,)}) == near
