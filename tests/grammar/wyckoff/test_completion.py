from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from crystext.grammar.wyckoff.completion import Gap, OrbitGaps
from crystext.structures.wyckoff.orbits import Orbit
from crystext.structures.wyckoff.positions import symmetry_operations, wyckoff_positions
from crystext.structures.wyckoff.setting import group_setting

TI, OXYGEN, NA = 22, 8, 11
NOWHERE = np.full(3, np.nan)


def gaps_of(number: int, *gaps: Gap, max_atoms: int = 20) -> OrbitGaps:
    return OrbitGaps(group_setting(number, *symmetry_operations(number)), gaps, max_atoms)


def known(number: int, element: int, letter: str, *free: float) -> Gap:
    position = wyckoff_positions(number)[letter]
    return Gap((element,), orbit=Orbit(element, position, np.array(free)), single=True)


def names(gaps: OrbitGaps) -> set[tuple[str, ...]]:
    return {
        tuple(
            gaps.table.positions[gap.position_index].name
            for gap in filling.gaps
            if gap.position_index is not None
        )
        for filling in gaps.assignments(1000)
    }


@pytest.mark.parametrize(("number", "atoms"), [(141, 4), (136, 4), (136, 6), (62, 8), (225, 3)])
def test_assignments_are_all_sets_of_positions_that_hold_the_atoms(number: int, atoms: int) -> None:
    """Counted by brute force: points hold one orbit, and sizes add up to the atoms."""
    gaps = gaps_of(number, Gap((OXYGEN,), atoms))
    table = gaps.table
    smallest = min(table.orbit_sizes)
    expected = set()
    for count in range(1, atoms // smallest + 1):
        for chosen in combinations_with_replacement(range(len(table.positions)), count):
            twice = any(table.is_point[i] and chosen.count(i) > 1 for i in chosen)
            if not twice and sum(table.orbit_sizes[i] for i in chosen) == atoms:
                expected.add(tuple(table.positions[i].name for i in chosen))
    assert names(gaps) == expected
    assert gaps.is_fillable == bool(expected)


def test_anatase_leaves_three_positions_to_its_oxygens() -> None:
    gaps = gaps_of(141, known(141, TI, "a"), Gap((OXYGEN,), 4))
    assert names(gaps) == {("8c",), ("8d",), ("8e",)}


def test_a_known_coordinate_rules_out_positions_and_values() -> None:
    pin = np.array([np.nan, np.nan, 0.0])
    gaps = gaps_of(136, known(136, TI, "a"), Gap((OXYGEN,), pins=(pin,), single=True))
    # Titanium is on 2a, and the sites of 4d are at z = 1/4 and 3/4.
    everything = {position.name for position in gaps.table.positions}
    assert {found[0] for found in names(gaps)} == everything - {"2a", "4d"}
    (gap,) = [gap for gap in gaps.gaps if gap.pins]
    values = np.arange(1000) / 1000
    at = {position.name: i for i, position in enumerate(gaps.table.positions)}
    assert gaps.pinned(gap, at["4f"], [], values).all()
    # (0, 0, z) has z = 0 only there, and at 1/2, since one image is at z + 1/2.
    assert values[gaps.pinned(gap, at["4e"], [], values)].tolist() == [0.0, 0.5]


def test_lines_come_by_electronegativity_with_known_ones_first() -> None:
    gaps = gaps_of(
        136, Gap((OXYGEN,), 4), known(136, TI, "a"), Gap((TI, NA), 2, single=True), max_atoms=16
    )
    state = gaps.start()
    assert gaps.choices(state) == {TI: [1, 2], NA: [2]}
    state = gaps.place(state, 1, TI, 0)
    # Sodium would have come before titanium.
    assert gaps.choices(state) == {TI: [2]}
    state = gaps.place(state, 2, TI, gaps.positions(state, 2, TI)[0])
    assert gaps.choices(state) == {OXYGEN: [0]}


def test_gaps_of_one_element_share_it() -> None:
    gaps = gaps_of(
        225, Gap((TI, NA), 1, single=True, same_element=0), Gap((TI, NA), 1, same_element=0)
    )
    state = gaps.place(gaps.start(), 0, NA, 0)
    assert set(gaps.choices(state)) == {NA}
    assert not gaps_of(225, Gap((OXYGEN,), 4, pins=(NOWHERE,)), max_atoms=20).start().elements


def test_elements_are_chosen_for_all_gaps_that_hold_the_same() -> None:
    metal = Orbit(TI, wyckoff_positions(136)["a"], np.array([]))
    gaps = gaps_of(
        136,
        Gap((NA, TI), orbit=metal, single=True, same_element=0),
        Gap((NA, TI), 2, same_element=0),
        Gap((OXYGEN, NA), 4),
        Gap((OXYGEN,), 4),
    )
    assert gaps.undecided == (0, 2)
    chosen = gaps.with_elements(0, (NA,))
    assert [gap.elements for gap in chosen.gaps] == [(NA,), (NA,), (OXYGEN, NA), (OXYGEN,)]
    assert chosen.gaps[0].orbit is not None
    assert chosen.gaps[0].orbit.atomic_number == NA
    assert chosen.undecided == (2,)
    assert chosen.with_elements(2, (OXYGEN,)).undecided == ()


def test_a_gap_that_known_sites_fill_has_no_positions() -> None:
    gaps = gaps_of(141, known(141, TI, "a"), Gap((TI,), 0, single=True), Gap((OXYGEN,), 4))
    assert names(gaps) == {("8c",), ("8d",), ("8e",)}
    assert {gap.source for filling in gaps.assignments(9) for gap in filling.gaps} == {0, 2}
