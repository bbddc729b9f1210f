"""Whether the elements of a formula can take oxidation states that sum to zero.

The rules and tables are SMACT's: see `metrics/composition_validity`, which measures crystals by
them. Here they tell before sampling that a formula cannot be neutral.

Pauling's test is a threshold: sort the elements by electronegativity; then none below some index is
an anion and none above it a cation. So instead of trying every combination of states, whose number
grows exponentially, each threshold is tried with the set of reachable charges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import combinations_with_replacement, product

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import reduce_counts

OXIDATION_TABLES = {"smact14": "oxidation_states_smact14", "icsd24": "oxidation_states_icsd24"}
"""Names of the oxidation tables, and SMACT's names for them."""

_MAX_CHANGED_ATOMS = 4
"""Maximum number of atoms added or removed in the search for a neutral formula."""


@lru_cache(maxsize=1 << 17)
def can_be_neutral(
    numbers: tuple[int, ...], counts: tuple[int, ...], table: str = "smact14", alloys: bool = True
) -> bool:
    """Return whether a composition is one element, an alloy, or has charges that balance.

    Args:
        numbers: atomic numbers, each once.
        counts: number of atoms of each.
        table: a name of `OXIDATION_TABLES`.
        alloys: whether to accept compositions of metals only, whatever their charges.
    """
    if len(numbers) == 1:
        return True
    if alloys and all(_is_metal(z) for z in numbers):
        return True
    chemistry = [_oxidation_states(z, table) for z in numbers]
    charges = [[n * q for q in states] for n, (states, _) in zip(counts, chemistry, strict=True)]
    known = [chi for _, chi in chemistry if chi is not None]
    if len(known) < len(numbers):
        return _can_balance(charges)
    # Elements of equal electronegativity stay on one side: neither takes electrons from the other.
    return any(
        _can_balance(
            [
                [q for q in choices if (q >= 0 if chi < threshold else q <= 0)]
                for choices, chi in zip(charges, known, strict=True)
            ]
        )
        for threshold in {*known, float("inf")}
    )


def nearest_neutral_formula(formula: Mapping[str, int], max_atoms: int) -> dict[str, int] | None:
    """Return the neutral formula that differs by the fewest atoms; None if none is near.

    Args:
        formula: count by symbol.
        max_atoms: larger formulas are not considered.
    """
    for changed in _neighbouring_counts(list(formula.values())):
        counts = dict(zip(formula, changed, strict=True))
        numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
        if sum(changed) <= max_atoms and can_be_neutral(numbers, tuple(changed)):
            return reduce_counts(counts)
    return None


def _neighbouring_counts(counts: Sequence[int]) -> Iterator[list[int]]:
    """Yield counts that differ by one atom, then by two, and so on; no count becomes zero."""
    for distance in range(1, _MAX_CHANGED_ATOMS + 1):
        for places in combinations_with_replacement(range(len(counts)), distance):
            touched = sorted(set(places))
            for signs in product((1, -1), repeat=len(touched)):
                changed = list(counts)
                for place, sign in zip(touched, signs, strict=True):
                    changed[place] += sign * places.count(place)
                if min(changed) > 0:
                    yield changed


def _can_balance(charges: Sequence[Sequence[int]]) -> bool:
    """Return whether one number can be chosen from each list so that they sum to zero."""
    sums = {0}
    for choices in charges:
        sums = {total + charge for total in sums for charge in choices}
    return 0 in sums


@cache
def _is_metal(number: int) -> bool:
    import smact

    return SYMBOLS[number - 1] in smact.metals


@cache
def _oxidation_states(number: int, table: str) -> tuple[tuple[int, ...], float | None]:
    """Return SMACT's oxidation states and Pauling electronegativity; () and None if unknown."""
    import smact

    try:
        element = smact.Element(SYMBOLS[number - 1])
    except (KeyError, NameError):  # SMACT ends at Z = 103
        return (), None
    return tuple(getattr(element, OXIDATION_TABLES[table]) or ()), element.pauling_eneg
