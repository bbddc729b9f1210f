"""Elements that could replace another.

Chemists replace an element by one of its own group, or by a neighbour on Pettifor's scale that
forms ions of the same charge. That is the rule:

1. Candidates are of the same kind: a noble gas for a noble gas, a metal for a metal, a non-metal of
   the same or a neighbouring group for a non-metal. Metalloids (B, Si, Ge, As, Sb, Te, Po) count as
   both metals and non-metals. Hydrogen counts as a halogen, not as an alkali metal.
2. They share a common oxidation state with the element, or belong to its group.
3. Elements of its group come first, then the others, each nearest first on Pettifor's scale, which
   orders the elements such that neighbours form similar compounds. Short-lived elements (Po to Ra,
   and those beyond Pu) are candidates only for one another.

The published rule, a shared oxidation state and radii that differ by less than 0.1 Å (Gruver et
al., arXiv:2402.04379), finds nothing for 35 elements, including O, F and Na. Radii play no role
here, so every element has candidates.

Sources: Pettifor, Solid State Commun. 51, 31 (1984); pymatgen's table of elements for the scale,
groups, kinds and oxidation states.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import check_element

_LAST_ON_SCALE = 103
"""Atomic number of the last element on the scale."""

_SHORT_LIVED = frozenset((*range(84, 89), *range(95, 119)))
"""Atomic numbers of elements with hardly any known crystal structure."""

DEFAULT_COUNT = 8
"""Maximum number of candidates of an element."""


def similar_elements(symbol: str, count: int = DEFAULT_COUNT) -> tuple[str, ...]:
    """Return the elements most similar to one, the most similar first, without itself.

    Args:
        symbol: of any of the 118 elements; one beyond lawrencium counts as the one above it in the
            periodic table.
        count: maximum number of elements.

    Raises:
        SettingError: no such element.
    """
    traits = _traits()
    own = traits[check_element(symbol)]

    def unlikeness(other: str) -> tuple[bool, float, int]:
        # Of two at equal distance, the lighter comes first.
        its = traits[other]
        return (
            its.group != own.group,
            abs(its.pettifor_number - own.pettifor_number),
            ATOMIC_NUMBERS[other],
        )

    others = [other for other in traits if other != symbol and _is_similar(own, traits[other])]
    if ATOMIC_NUMBERS[symbol] not in _SHORT_LIVED:
        others = [other for other in others if ATOMIC_NUMBERS[other] not in _SHORT_LIVED]
    return tuple(sorted(others, key=unlikeness)[:count])


class _Traits(NamedTuple):
    """The properties that decide whether an element could replace another."""

    kinds: frozenset[str]
    group: int
    pettifor_number: float
    """Position on Pettifor's scale."""
    oxidation_states: frozenset[int]
    """Oxidation states."""


def _is_similar(one: _Traits, other: _Traits) -> bool:
    common = one.kinds & other.kinds
    if not common:
        return False
    apart = abs(one.group - other.group)
    if "metal" not in common and apart > 1:
        return False
    return not apart or bool(one.oxidation_states & other.oxidation_states)


@cache
def _traits() -> dict[str, _Traits]:
    from pymatgen.core.periodic_table import Element

    found = {}
    for z, symbol in enumerate(SYMBOLS, start=1):
        element = Element(symbol)
        # Elements beyond the scale take the position of the one above them.
        known = element if z <= _LAST_ON_SCALE else Element(SYMBOLS[z - 33])
        found[symbol] = _Traits(
            _kinds(known),
            # With the halogens: hydrides are similar to fluorides, and H+ is not an alkali ion.
            18 if symbol == "H" else int(element.group),
            float(known.mendeleev_no),
            frozenset(known.common_oxidation_states),
        )
    return found


def _kinds(element: object) -> frozenset[str]:
    from pymatgen.core.periodic_table import Element

    assert isinstance(element, Element)
    if element.is_noble_gas:
        return frozenset(("noble gas",))
    if element.is_metalloid:
        return frozenset(("metal", "non-metal"))
    return frozenset(("metal" if element.is_metal else "non-metal",))
