"""The condition `oxidation`: charges balance with the states that some elements are given.

`chemistry.charge_balance` says which states the other elements have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from crystext.chemistry.charge_balance import (
    States,
    allowed_states,
    can_balance,
    format_states,
    known_states,
    nearest_balanced_formula,
    neutral_states,
    smallest_charge,
)
from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import (
    format_formula,
    reduce_counts,
    sort_by_electronegativity,
    suggest_elements,
)
from crystext.conditions.lists import split_words
from crystext.errors import SettingError

Oxidation = tuple[tuple[str, States], ...]
"""Elements, by electronegativity, and the only states that each of them may have."""

_MAX_COUNTED_ATOMS = 40
"""Cells up to this size are tried one by one for charges that balance; in larger ones, states of
both signs suffice."""

_EXPECTED = "expected an element and its states, such as P=5 or Fe=2,3 or O=-2"


_MAX_COUNTED_FORMULAS = 10_000
"""Numbers of atoms of all elements together that are tried for charges that balance."""


def can_count(elements: int, max_atoms: int) -> bool:
    """Return whether all formulas of so many elements can be tried: up to 4 in 20 atoms."""
    return 0 < elements <= max_atoms and math.comb(max_atoms, elements) <= _MAX_COUNTED_FORMULAS


def parse_oxidation(value: Any) -> Oxidation:
    """Return oxidation states by element.

    Args:
        value: "P=5", "P=3,5 Li=1", a list of such texts, or {"P": 5} or {"P": [3, 5]}.

    Raises:
        SettingError: it is something else, an element or a state does not exist; the message has
            all faults.
    """
    faults: list[str] = []
    states: dict[str, set[int]] = {}
    for symbol, text in _entries(value, faults):
        if symbol not in ATOMIC_NUMBERS:
            faults.append(f"no element {symbol!r}; {_EXPECTED}.{suggest_elements(symbol)}")
            continue
        if not re.fullmatch(r"[+-]?\d{1,2}", text):
            faults.append(f"{symbol}={text}: {_EXPECTED}")
            continue
        known = known_states(symbol)
        if int(text) not in known:
            listed = ", ".join(f"{state:+d}" for state in known) or "none"
            faults.append(f"no compound has {symbol} in the state {text}; it is known in {listed}")
            continue
        states.setdefault(symbol, set()).add(int(text))
    if faults:
        raise SettingError("oxidation: " + "; ".join(faults))
    return tuple((s, tuple(sorted(states[s]))) for s in sort_by_electronegativity(states))


def _entries(value: Any, faults: list[str]) -> Iterable[tuple[str, str]]:
    """Yield pairs of an element and a state, both as texts."""
    if isinstance(value, Mapping):
        for symbol, states in value.items():
            several = states if isinstance(states, list | tuple | set | frozenset) else [states]
            if not several:
                faults.append(f"{symbol} has no states; {_EXPECTED}")
            for state in several:
                yield str(symbol), str(state)
        return
    words = split_words(value)
    if words is None:
        faults.append(f"{value!r}: {_EXPECTED}")
        return
    symbol = ""
    for part in words:
        before, equals, state = part.partition("=")
        # P=3,5: the second state belongs to the element before.
        symbol, state = (before, state) if equals else (symbol, before)
        if symbol and state:
            yield symbol, state
        else:
            faults.append(f"{part!r}: {_EXPECTED}")


def format_oxidation(oxidation: Oxidation) -> str:
    """Return the states as `parse_oxidation` reads them."""
    return format_states(oxidation)


def check_oxidation(
    oxidation: Oxidation,
    ranges: Mapping[str, tuple[int, int]] | None,
    n_atoms: tuple[int, int],
) -> None:
    """Raise a `SettingError` unless some crystal of these elements has charges that balance.

    Args:
        oxidation: the condition.
        ranges: all elements that may occur, and the fewest and most atoms of each; None if any
            element may occur.
        n_atoms: fewest and most atoms.
    """
    if ranges is None:
        return
    if missing := [symbol for symbol, _ in oxidation if symbol not in ranges]:
        raise SettingError(
            f"oxidation states are given for {', '.join(missing)}, which cannot occur in "
            f"{'-'.join(ranges)}; leave them out, or allow these elements"
        )
    given = dict(oxidation)
    states = allowed_states(ranges, given)
    counted = n_atoms[1] <= _MAX_COUNTED_ATOMS
    if counted:
        possible = can_balance(ranges, given, n_atoms)
    else:
        signs = {x > 0 for values in states.values() for x in values}
        known = all(states[symbol] for symbol, (fewest, _) in ranges.items() if fewest > 0)
        possible = known and len(signs) == 2
    if not possible:
        size = f" with {n_atoms[0]} to {n_atoms[1]} atoms" if counted else ""
        raise SettingError(
            f"no crystal of {'-'.join(ranges)}{size} is neutral with "
            f"{_signed(states)}; give other states, or other elements or numbers of atoms"
        )


def check_formula(oxidation: Oxidation, counts: Mapping[str, int]) -> None:
    """Raise a `SettingError` unless the charges of a formula balance."""
    if missing := [symbol for symbol, _ in oxidation if symbol not in counts]:
        raise SettingError(
            f"oxidation states are given for {', '.join(missing)}, which "
            f"{format_formula(counts)} does not have; leave them out"
        )
    if neutral_states(tuple(counts.items()), oxidation) is not None:
        return
    given = dict(oxidation)
    states = allowed_states(counts, given)
    near = nearest_balanced_formula(counts, given)
    advice = "" if near is None else f"the nearest that is neutral is {format_formula(near)}; or "
    raise SettingError(
        f"{format_formula(counts)} is not neutral with {_signed(states)}{_charge(counts, given)}; "
        f"{advice}give other states"
    )


def measure_oxidation(oxidation: Oxidation, counts: Mapping[str, int]) -> tuple[str, bool]:
    """Return an assignment that balances, or the smallest charge; and whether there is one.

    Args:
        oxidation: the condition.
        counts: atoms of each element.
    """
    formula = reduce_counts(counts)
    found = neutral_states(tuple(formula.items()), oxidation)
    if found is not None:
        return format_states(found), True
    charge = smallest_charge(formula, dict(oxidation))
    if charge is None:
        return "no known states", False
    return f"charge {charge:+d} in {format_formula(formula)}", False


def _charge(counts: Mapping[str, int], given: Mapping[str, States]) -> str:
    charge = smallest_charge(counts, given)
    return "" if charge is None else f": its smallest charge is {charge:+d}"


def _signed(states: Mapping[str, States]) -> str:
    """Return states as a sentence has them: Li +1, P +5, O -2."""
    return ", ".join(
        f"{symbol} {'/'.join(f'{x:+d}' for x in values) or '(no known state)'}"
        for symbol, values in states.items()
    )
