"""Which elements could stand in place of another.

Those that share an oxidation state with it: first those of its group, then the others, each nearest
first on Pettifor's scale, which puts the elements in one row such that neighbours form alike
compounds (Pettifor, Solid State Commun. 51, 31 (1984)). The states are the common ones of
pymatgen's table. An element without any, such as neon, has its neighbours on the scale. No radius
decides, so anions and light elements, of which tables of ionic radii know few or none of like size,
have candidates as all others do.
"""

from __future__ import annotations

from functools import cache

from crystext.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import SettingError
from crystext.formulas import known_element

_LAST = 103
"""Atomic number of the last element that has a place on the scale."""

COUNT = 8
"""Candidates of an element, where there are so many."""


def similar_elements(symbol: str, count: int = COUNT) -> tuple[str, ...]:
    """Return the elements most like one, the most alike first, itself left out.

    Raises:
        SettingError: no such element, or one that is not on the scale.
    """
    scale, states = _scale(), _states()
    if known_element(symbol) not in scale:
        raise SettingError(
            f"of {symbol} it is not known which elements are similar; name candidates"
        )
    others = [
        other
        for other in scale
        if other != symbol and (states[other] & states[symbol] or not states[symbol])
    ]
    groups = _groups()

    def unlikeness(other: str) -> tuple[bool, float, int]:
        # Of two equally near ones, the lighter comes first.
        away = abs(scale[other] - scale[symbol])
        return groups[other] != groups[symbol], away, ATOMIC_NUMBERS[other]

    return tuple(sorted(others, key=unlikeness)[:count])


@cache
def _scale() -> dict[str, float]:
    """Return the place of each element on Pettifor's scale."""
    from pymatgen.core.periodic_table import Element

    # Pymatgen warns of the elements beyond, which have no place.
    return {symbol: float(Element(symbol).mendeleev_no) for symbol in SYMBOLS[:_LAST]}


@cache
def _groups() -> dict[str, int]:
    from pymatgen.core.periodic_table import Element

    return {symbol: int(Element(symbol).group) for symbol in SYMBOLS}


@cache
def _states() -> dict[str, frozenset[int]]:
    from pymatgen.core.periodic_table import Element

    return {symbol: frozenset(Element(symbol).common_oxidation_states) for symbol in SYMBOLS}
