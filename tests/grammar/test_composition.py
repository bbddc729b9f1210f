from __future__ import annotations

from collections import Counter
from itertools import chain, combinations, combinations_with_replacement, product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK, SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError
from crystext.grammar.composition import CompositionRules
from crystext.grammar.fields import END
from crystext.structures.distances import min_distances

FOUR = ("O", "Na", "Cs", "Fe")
MOST = 5


def ranks(symbols: tuple[str, ...]) -> list[int]:
    return [ELECTRONEGATIVITY_RANK[ATOMIC_NUMBERS[symbol]] for symbol in symbols]


def unit_counts(asked: Constraints) -> list[int]:
    return [count for _, count in asked.formula]


def keeps(symbols: tuple[str, ...], asked: Constraints) -> bool:
    """Tell by the definitions whether a crystal of these atoms, in this order, is as asked."""
    counts = Counter(symbols)
    if not asked.min_atoms <= len(symbols) <= asked.max_atoms:
        return False
    if set(symbols) & set(asked.exclude) or not set(asked.require) <= set(symbols):
        return False
    if asked.only is not None and not set(symbols) <= set(asked.only):
        return False
    if asked.formula:
        units = {counts[symbol] / count for symbol, count in asked.formula}
        number = min(units)
        if len(units) > 1 or number % 1 or len(symbols) != number * sum(unit_counts(asked)):
            return False
    if any(not low <= counts[symbol] <= high for symbol, low, high in asked.counts):
        return False
    if asked.charges and not is_neutral(counts, asked):
        return False
    in_order = ranks(symbols) == sorted(ranks(symbols))
    return in_order or not (asked.formula or asked.require or asked.counts or asked.charges)


def is_neutral(counts: Counter[str], asked: Constraints) -> bool:
    """Tell by trying all states of all atoms, where each element has to occur."""
    each = [
        {sum(states) for states in combinations_with_replacement(values, counts[symbol])}
        for symbol, values in asked.charges
    ]
    return set(counts) == set(dict(asked.charges)) and any(sum(x) == 0 for x in product(*each))


some = st.lists(st.sampled_from(FOUR), unique=True, max_size=3).map(tuple)


def valid_or_skip(**bounds: Any) -> Constraints:
    """Return constraints; skip the example if they contradict each other."""
    try:
        return Constraints(**bounds)
    except SettingError:
        assume(False)
        raise


@st.composite
def requests(draw: st.DrawFn) -> Constraints:
    least, most = sorted([draw(st.integers(1, MOST)), draw(st.integers(1, MOST))])
    if draw(st.booleans()):
        counts = draw(st.dictionaries(st.sampled_from(FOUR), st.integers(1, 2), min_size=1))
        unit = sum(counts.values())
        most = max(most, -(-least // unit) * unit)
        return Constraints(max_atoms=most, min_atoms=least, formula=tuple(counts.items()))
    if draw(st.booleans()):
        states = st.lists(st.sampled_from((-2, -1, 1, 2, 3)), min_size=1, max_size=2).map(tuple)
        charges = draw(st.dictionaries(st.sampled_from(FOUR), states, min_size=1, max_size=3))
        return valid_or_skip(max_atoms=most, min_atoms=least, charges=tuple(charges.items()))
    require = draw(some)
    exclude = tuple(symbol for symbol in draw(some) if symbol not in require)
    most = max(most, len(require))
    ranges = draw(
        st.dictionaries(
            st.sampled_from(FOUR), st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=2
        )
    )
    counts = tuple((symbol, low, max(low, high)) for symbol, (low, high) in ranges.items())
    return valid_or_skip(
        max_atoms=most,
        min_atoms=least,
        require=require,
        exclude=exclude,
        only=FOUR,
        counts=counts,
    )


@given(requests())
@settings(max_examples=100)
def test_a_value_is_allowed_if_and_only_if_some_crystal_as_asked_goes_on_so(
    asked: Constraints,
) -> None:
    assume(asked.max_atoms <= 6)
    texts = chain.from_iterable(product(FOUR, repeat=n) for n in range(1, asked.max_atoms + 1))
    every = [text for text in texts if keeps(text, asked)]
    following: dict[tuple[str, ...], set[int]] = {}
    for text in every:
        for end in range(len(text)):
            following.setdefault(text[:end], set()).add(ATOMIC_NUMBERS[text[end]])
        following.setdefault(text, set()).add(END)
    composition = CompositionRules(asked)
    for length in {len(text) for text in following}:
        same = [text for text in following if len(text) == length]
        numbers = np.array([[ATOMIC_NUMBERS[s] for s in text] for text in same], dtype=np.int64)
        for text, row in zip(
            same, composition.allowed(numbers.reshape(len(same), length)), strict=True
        ):
            assert set(np.nonzero(row)[0].tolist()) == following[text], (asked, text)


def test_a_cell_gets_an_element_that_fits_as_often_as_atoms_are_needed() -> None:
    asked = Constraints(
        max_atoms=6, min_atoms=5, only=("Cs", "F"), counts=(("F", 0, 2),), min_distance_ratio=0.65
    )
    rules = CompositionRules(asked)
    own = np.diagonal(min_distances(0.65))
    assert rules.min_own_distance(own) == own[ATOMIC_NUMBERS["Cs"]]
    free = CompositionRules(Constraints(max_atoms=6, only=("Cs", "F"), min_distance_ratio=0.65))
    assert free.min_own_distance(own) == own[ATOMIC_NUMBERS["F"]]


def test_any_elements_come_in_text_order_where_some_are_required() -> None:
    composition = CompositionRules(Constraints(max_atoms=4, require=("O", "Fe")))
    order = sorted(SYMBOLS, key=lambda s: ELECTRONEGATIVITY_RANK[ATOMIC_NUMBERS[s]])
    first = composition.allowed(np.zeros((1, 0), dtype=np.int64))[0]
    up_to_iron = order[: order.index("Fe") + 1]
    assert {SYMBOLS[z - 1] for z in np.nonzero(first)[0]} == set(up_to_iron)
    behind = composition.allowed(np.array([[ATOMIC_NUMBERS["Fe"]] * 3]))[0]
    assert [SYMBOLS[z - 1] for z in np.nonzero(behind)[0]] == ["O"]


def test_an_element_without_room_in_the_cell_is_not_allowed() -> None:
    fits = np.ones((1, 119), dtype=np.bool_)
    fits[0, ATOMIC_NUMBERS["Cs"]] = False
    nothing = np.zeros((1, 0), dtype=np.int64)
    free = CompositionRules(Constraints(only=("Cs", "F"))).allowed(nothing, fits)[0]
    assert np.nonzero(free)[0].tolist() == [ATOMIC_NUMBERS["F"]]


@pytest.mark.parametrize("scale", [0.4, 0.65])
def test_a_cell_gets_no_more_formula_units_than_fill_it(scale: float) -> None:
    asked = Constraints(min_distance_ratio=scale, formula=(("Cs", 1), ("Cl", 1)))
    composition = CompositionRules(asked)
    assert np.diff(composition.formula_volumes) == pytest.approx(composition.formula_volumes[0])
    begun = np.array([[ATOMIC_NUMBERS["Cs"]] * 2] * 2)
    volumes = composition.min_volume * np.array([2.5, 3.5])
    two, three = composition.allowed(begun, volumes=volumes)
    assert np.nonzero(two)[0].tolist() == [ATOMIC_NUMBERS["Cl"]]
    assert np.nonzero(three)[0].tolist() == [ATOMIC_NUMBERS["Cl"], ATOMIC_NUMBERS["Cs"]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_chemical_system_is_written_with_each_of_its_elements(count: int) -> None:
    for system in combinations(FOUR, count):
        composition = CompositionRules(Constraints(max_atoms=count, require=system, only=system))
        numbers = np.zeros((1, 0), dtype=np.int64)
        for symbol in sorted(system, key=lambda s: ranks((s,))):
            (only,) = np.nonzero(composition.allowed(numbers)[0])[0]
            assert SYMBOLS[only - 1] == symbol
            numbers = np.append(numbers, [[only]], axis=1)
        assert np.nonzero(composition.allowed(numbers)[0])[0].tolist() == [END]
