from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError
from crystext.grammar.fields import END
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.grammar.wyckoff.lookahead import Lookahead, LookaheadState
from crystext.grammar.wyckoff.site_table import site_table
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.orbits import primitive_translations
from crystext.structures.wyckoff.positions import wyckoff_positions

FOUR = ("K", "Ti", "S", "O")
MOST = 5

Orbits = tuple[tuple[str, str], ...]
"""Element and letter of each orbit."""

groups = st.integers(1, 230)


def size(group: int, letter: str) -> int:
    return wyckoff_positions(group)[letter].multiplicity // len(primitive_translations(group))


@cache
def orbit_lists(group: int, elements: tuple[str, ...], most: int) -> list[Orbits]:
    """Return all lists of orbits with so many atoms in a primitive cell, found one by one."""
    order = sorted(elements, key=lambda s: ELECTRONEGATIVITY_RANK[ATOMIC_NUMBERS[s]])

    def longer(before: Orbits, atoms: int) -> Iterator[Orbits]:
        for symbol in order[order.index(before[-1][0]) if before else 0 :]:
            for letter, position in wyckoff_positions(group).items():
                taken = not position.free_axes and letter in {other for _, other in before}
                whole = atoms + size(group, letter)
                if not taken and whole <= most:
                    found = (*before, (symbol, letter))
                    yield found
                    yield from longer(found, whole)

    return list(longer((), 0))


def keeps(group: int, orbits: Orbits, asked: Constraints) -> bool:
    """Tell by the definitions whether a crystal of these orbits has what is asked for."""
    counts: Counter[str] = Counter()
    for symbol, letter in orbits:
        counts[symbol] += size(group, letter)
    if not asked.min_atoms <= counts.total() <= asked.max_atoms:
        return False
    if asked.charges and not is_neutral(counts, asked):
        return False
    if asked.formula:
        units = {counts[symbol] / count for symbol, count in asked.formula}
        return len(units) == 1 and min(units) % 1 == 0 and set(counts) == set(dict(asked.formula))
    if any(not low <= counts[symbol] <= high for symbol, low, high in asked.counts):
        return False
    permitted = set(FOUR if asked.only is None else asked.only) - set(asked.exclude)
    return set(asked.require) <= set(counts) <= permitted


def is_neutral(counts: Counter[str], asked: Constraints) -> bool:
    """Tell by trying all states of all atoms, where each element has to occur."""
    each = [
        {sum(states) for states in combinations_with_replacement(values, counts[symbol])}
        for symbol, values in asked.charges
    ]
    return set(counts) == set(dict(asked.charges)) and any(sum(x) == 0 for x in product(*each))


@st.composite
def requests(draw: st.DrawFn) -> Constraints:
    least, most = sorted([draw(st.integers(1, MOST)), draw(st.integers(1, MOST))])
    if draw(st.booleans()):
        counts = draw(st.dictionaries(st.sampled_from(FOUR), st.integers(1, 3), min_size=1))
        unit = sum(counts.values())
        assume(-(-least // unit) <= most // unit)
        return Constraints(max_atoms=most, min_atoms=least, formula=tuple(counts.items()))
    if draw(st.booleans()):
        states = st.lists(st.sampled_from((-2, -1, 1, 2, 3)), min_size=1, max_size=2).map(tuple)
        charges = draw(st.dictionaries(st.sampled_from(FOUR), states, min_size=1, max_size=3))
        try:
            return Constraints(max_atoms=most, min_atoms=least, charges=tuple(charges.items()))
        except SettingError:  # No numbers of atoms balance.
            assume(False)
    require = tuple(draw(st.lists(st.sampled_from(FOUR), unique=True, max_size=3)))
    assume(len(require) <= most)
    ranges = draw(
        st.dictionaries(
            st.sampled_from(FOUR), st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=3
        )
    )
    counts = tuple((symbol, low, max(low, high)) for symbol, (low, high) in ranges.items())
    try:
        return Constraints(
            max_atoms=most, min_atoms=least, require=require, only=FOUR, counts=counts
        )
    except SettingError:  # The numbers of atoms contradict each other.
        assume(False)
        raise


@given(groups, requests())
@settings(max_examples=40)
def test_a_choice_is_allowed_if_and_only_if_some_crystal_as_asked_goes_on_so(
    group: int, asked: Constraints
) -> None:
    # Many positions for single atoms make too many lists to try.
    assume(asked.max_atoms <= (3 if len(wyckoff_positions(group)) > 8 else MOST))
    every = orbit_lists(group, FOUR, asked.max_atoms)
    wanted = [orbits for orbits in every if keeps(group, orbits, asked)]
    following: dict[Orbits, set[int]] = {}
    places_of: dict[tuple[Orbits, str], set[str]] = {}
    for orbits in wanted:
        for end, (symbol, letter) in enumerate(orbits):
            following.setdefault(orbits[:end], set()).add(ATOMIC_NUMBERS[symbol])
            places_of.setdefault((orbits[:end], symbol), set()).add(letter)
        following.setdefault(orbits, set()).add(END)
    ahead = Lookahead(asked)
    assert bool(ahead.space_groups[group]) == bool(wanted)
    for orbits, elements in following.items():
        state = walked(ahead, group, orbits)
        assert set(np.flatnonzero(ahead.allowed_elements(state)).tolist()) == elements, (
            orbits,
            asked,
        )
    for (orbits, symbol), letters in places_of.items():
        begun = ahead.begin_orbit(walked(ahead, group, orbits), ATOMIC_NUMBERS[symbol])
        by_name = site_table(group).index_of_name
        found = {by_name[name] for name in np.flatnonzero(ahead.allowed_positions(begun)).tolist()}
        assert {site_table(group).positions[place].letter for place in found} == letters, (
            orbits,
            asked,
        )


def walked(ahead: Lookahead, group: int, orbits: Orbits) -> LookaheadState:
    state = ahead.start(group)
    letters = list(wyckoff_positions(group))
    for symbol, letter in orbits:
        state = ahead.begin_orbit(state, ATOMIC_NUMBERS[symbol])
        state = ahead.place_orbit(state, letters.index(letter))
    return state


def test_a_formula_is_written_only_where_the_positions_add_up_to_it() -> None:
    spinel = Constraints(max_atoms=14, formula=(("Mg", 1), ("Al", 2), ("O", 4)))
    allowed = Lookahead(spinel).space_groups
    # MgAl2O4 fills 8a, 16d and 32e of Fd-3m; of Ia-3d no orbit is small enough.
    assert allowed[227]
    assert not allowed[230]


@given(groups, st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=60)
def test_what_a_refusal_advises_is_possible(group: int, first: int, second: int) -> None:
    formula = (("Na", first), ("Cl", second)) if first != second else (("Na", first),)
    unit = sum(count for _, count in formula)
    asked = Constraints(
        max_atoms=unit, formula=formula, space_group=group, crystal_system=crystal_system(group)
    )
    if Lookahead(asked).space_groups[group]:
        raise_if_infeasible(asked)
        return
    with pytest.raises(SettingError) as refusal:
        raise_if_infeasible(asked)
    message = str(refusal.value)
    assert f"space group {group} has the formula" in message
    sizes, _, others = message.partition("; ")[2].partition("another")
    if "max_atoms" in sizes:
        most = int(sizes.split("max_atoms ")[1].split(" ")[0])
        assert f"--max-atoms {most})" in sizes, "as it is typed"
        larger = Constraints(max_atoms=most, min_atoms=most, formula=formula, space_group=group)
        assert Lookahead(larger).space_groups[group]
    for text in others.partition("such as ")[2].split(", "):
        assert Lookahead(Constraints(max_atoms=unit, formula=formula)).space_groups[int(text)]


def test_every_group_holds_some_crystal_of_the_usual_size() -> None:
    assert Lookahead(Constraints()).space_groups[1:].all()
