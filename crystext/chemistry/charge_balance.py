"""Charge-neutral assignments of oxidation states, with the states of some elements given.

Each atom has one of its element's states, and atoms of one element may have different ones, as in
Fe3O4. An element has the given states and no others, or else its usual ones: pymatgen's common
oxidation states, and those with 10 or more entries and 1% or more of the element's entries in the
ICSD (`common_oxidation_states` and `icsd_oxidation_states` of `pymatgen.core.Element`), 0 left out.

What goes wrong otherwise: SMACT's tables, which `oxidation` has for validity rates, hold every
state ever reported, so that Li2P2O passes with P(+1) and O(-2) reads as chemistry that is usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import combinations_with_replacement
from typing import Any

from crystext.chemistry.formulas import sort_by_electronegativity

States = tuple[int, ...]
"""Oxidation states of an element, in increasing order."""


@cache
def usual_states(symbol: str) -> States:
    """Return the usual oxidation states of an element; none for some, such as neon."""
    element = _element(symbol)
    return tuple(sorted({*element.common_oxidation_states, *element.icsd_oxidation_states} - {0}))


@cache
def known_states(symbol: str) -> States:
    """Return all oxidation states of an element that pymatgen knows, 0 left out."""
    states = {*_element(symbol).oxidation_states, *usual_states(symbol)}
    return tuple(sorted(states - {0}))


@lru_cache(maxsize=1 << 14)
def neutral_states(
    counts: tuple[tuple[str, int], ...], given: tuple[tuple[str, States], ...]
) -> tuple[tuple[str, States], ...] | None:
    """Return an assignment of oxidation states that sum to zero, or None.

    Args:
        counts: elements, and the number of atoms of each.
        given: elements, and the only states that each of them may have.

    Returns:
        The states that the atoms of each element have, in the order of `counts`.
    """
    allowed = dict(given)
    states = [allowed.get(symbol) or usual_states(symbol) for symbol, _ in counts]
    sums = _reachable([count for _, count in counts], states)
    if 0 not in sums[-1]:
        return None
    found: list[tuple[str, States]] = []
    charge = 0
    for i in range(len(counts) - 1, -1, -1):
        symbol, count = counts[i]
        before = sums[i]
        part = min(
            (x for x in _element_charges(count, states[i]) if charge - x in before),
            key=lambda x: (_is_mixed(x, count, states[i]), abs(x)),
        )
        found.append((symbol, _split(part, count, states[i])))
        charge -= part
    return tuple(reversed(found))


def smallest_charge(counts: Mapping[str, int], given: Mapping[str, States]) -> int | None:
    """Return the total charge nearest to 0 that a formula can have; None if a state is unknown."""
    states = [given.get(symbol) or usual_states(symbol) for symbol in counts]
    sums = _reachable(list(counts.values()), states)[-1]
    return min(sums, key=lambda x: (abs(x), -x), default=None)


def can_balance(
    ranges: Mapping[str, tuple[int, int]],
    given: Mapping[str, States],
    n_atoms: tuple[int, int],
) -> bool:
    """Return whether some numbers of atoms of some elements balance.

    Args:
        ranges: elements, and the fewest and most atoms of each.
        given: the only states that some of them may have.
        n_atoms: fewest and most atoms of all.
    """
    fewest, most = n_atoms
    # Bit i of a number stands for the total charge i - zero.
    zero = most * max((abs(x) for s in ranges for x in given.get(s) or usual_states(s)), default=0)
    reached = {0: 1 << zero}
    for symbol, (low, high) in ranges.items():
        states = given.get(symbol) or usual_states(symbol)
        following: dict[int, int] = {}
        for count in range(low, min(high, most) + 1):
            charges = _element_charges(count, states)
            for atoms, totals in reached.items():
                if atoms + count <= most:
                    shifted = following.get(atoms + count, 0)
                    for charge in charges:
                        shifted |= totals << charge if charge >= 0 else totals >> -charge
                    following[atoms + count] = shifted
        reached = following
    return any(atoms >= max(1, fewest) and totals >> zero & 1 for atoms, totals in reached.items())


def neutral_counts(
    ranges: Mapping[str, tuple[int, int]], states: Mapping[str, States], n_atoms: tuple[int, int]
) -> Iterator[tuple[int, ...]]:
    """Yield all numbers of atoms of some elements whose charges can balance.

    Args:
        ranges: elements, and the fewest and most atoms of each; at least one.
        states: of each of these elements.
        n_atoms: fewest and most atoms of all.
    """
    fewest, most = n_atoms
    every = [states[symbol] for symbol in ranges]

    def extend(counts: tuple[int, ...], charges: frozenset[int]) -> Iterator[tuple[int, ...]]:
        place, left = len(counts), most - sum(counts)
        if place == len(ranges):
            if 0 in charges and most - left >= fewest:
                yield counts
            return
        low, high = list(ranges.values())[place]
        for count in range(max(1, low), min(high, left - (len(ranges) - place - 1)) + 1):
            own = _element_charges(count, every[place])
            yield from extend((*counts, count), frozenset(a + b for a in charges for b in own))

    yield from extend((), frozenset({0}))


def nearest_balanced_formula(
    counts: Mapping[str, int], given: Mapping[str, States], max_changes: int = 4
) -> dict[str, int] | None:
    """Return the formula with a neutral assignment that differs by the fewest atoms, or None."""
    symbols = sort_by_electronegativity(counts)
    pairs = tuple(sorted(given.items()))
    for distance in range(1, max_changes + 1):
        for places in combinations_with_replacement(range(2 * len(symbols)), distance):
            changed = dict(counts)
            for place in places:
                changed[symbols[place // 2]] += 1 - 2 * (place % 2)
            if min(changed.values()) > 0 and neutral_states(tuple(changed.items()), pairs):
                return changed
    return None


def format_states(states: Sequence[tuple[str, States]]) -> str:
    """Return states as conditions are written: Li=1 P=5 O=-2; several as Fe=2,3."""
    return " ".join(f"{symbol}={','.join(map(str, values))}" for symbol, values in states)


def _reachable(counts: Sequence[int], states: Sequence[States]) -> list[set[int]]:
    """Return the total charges that the first 0, 1, ... elements can have."""
    sums = [{0}]
    for count, values in zip(counts, states, strict=True):
        charges = _element_charges(count, values)
        sums.append({total + charge for total in sums[-1] for charge in charges})
    return sums


@lru_cache(maxsize=1 << 12)
def _element_charges(count: int, states: States) -> frozenset[int]:
    """Return the charges that so many atoms with these states can have together."""
    charges = {0}
    for _ in range(count):
        charges = {total + state for total in charges for state in states}
    return frozenset(charges)


def _is_mixed(charge: int, count: int, states: States) -> bool:
    return charge != 0 and not (charge % count == 0 and charge // count in states)


def _split(charge: int, count: int, states: States) -> States:
    """Return the states of so many atoms that add up to a charge: one, or as few as will do."""
    if count == 0:
        return ()
    if charge % count == 0 and charge // count in states:
        return (charge // count,)
    for state in states:
        if charge - state in _element_charges(count - 1, states):
            return tuple(sorted({state, *_split(charge - state, count - 1, states)}))
    raise AssertionError("the charge is one that the atoms can have")


@cache
def _element(symbol: str) -> Any:
    from pymatgen.core.periodic_table import Element

    return Element(symbol)
