"""Composition validity: could these elements, in these numbers, balance their charges?

A composition is valid if
  1. it has one element only; or
  2. all its elements are metals in SMACT's list (the alloy shortcut, which can be turned off); or
  3. each element can take one oxidation state q_i of the table, the same for all its n_i atoms,
     so that  sum_i n_i q_i = 0  and every anion is more electronegative than every cation
     (Pauling's test). Where SMACT knows no electronegativity for one of the elements, the test is
     taken as passed.

Source: SMACT, Davies et al., Chem 1, 617 (2016), as CDVAE uses it (Xie et al., ICLR 2022,
arXiv:2110.06197). The table must be named: on MP-20 test (9,046 crystals) SMACT's table of 2014
finds .9124 valid and the one of ICSD 2024 .9095; without the shortcut .6686 and .6315.

What goes wrong otherwise: `smact.screening.smact_validity` refuses every charge state of an element
without electronegativity (Pm in MP-20) and by default filters a third table, so it gives other
shares; and a share well above that of real crystals means many alloys, not good chemistry.

Pauling's test is a threshold: sort the elements by electronegativity; then all below some place
are no anions and all above it no cations. So instead of trying every combination of states, whose
number grows exponentially, each place is tried with the set of charges that can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np

from crystext.crystal import Ints
from crystext.elements import SYMBOLS
from crystext.errors import SettingError, did_you_mean

TABLES = {"smact14": "oxidation_states_smact14", "icsd24": "oxidation_states_icsd24"}
"""Names of the oxidation tables, and SMACT's for them."""


def is_composition_valid(numbers: Ints, *, table: str = "smact14", alloys: bool = True) -> bool:
    """Say whether the composition of a crystal is valid.

    An element that the table lacks has no oxidation state, so its compounds fail the third rule.

    Args:
        numbers: atomic numbers of all atoms, in any order; shape (N,), N at least 1.
        table: a name of `TABLES`.
        alloys: accept compositions of metals alone, whatever their charges.

    Raises:
        SettingError: no such table.
    """
    if table not in TABLES:
        raise SettingError(
            f"no oxidation table is called {table!r}; there are {', '.join(TABLES)}."
            + did_you_mean(table, TABLES)
        )
    found, counts = np.unique(numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    return _is_valid(tuple(found.tolist()), tuple(counts.tolist()), table, alloys)


@lru_cache(maxsize=1 << 17)
def _is_valid(numbers: tuple[int, ...], counts: tuple[int, ...], table: str, alloys: bool) -> bool:
    if len(numbers) == 1:
        return True
    if alloys and all(_is_metal(z) for z in numbers):
        return True
    chemistry = [_chemistry(z, table) for z in numbers]
    charges = [[n * q for q in states] for n, (states, _) in zip(counts, chemistry, strict=True)]
    known = [chi for _, chi in chemistry if chi is not None]
    if len(known) < len(numbers):
        return _can_balance(charges)
    # Elements of equal electronegativity stay on one side: neither may take the other's electrons.
    return any(
        _can_balance(
            [
                [q for q in choices if (q >= 0 if chi < threshold else q <= 0)]
                for choices, chi in zip(charges, known, strict=True)
            ]
        )
        for threshold in {*known, float("inf")}
    )


def _can_balance(charges: Sequence[Sequence[int]]) -> bool:
    """Say whether one number of each list can be taken so that they sum to zero."""
    sums = {0}
    for choices in charges:
        sums = {total + charge for total in sums for charge in choices}
    return 0 in sums


@cache
def _is_metal(number: int) -> bool:
    import smact

    return SYMBOLS[number - 1] in smact.metals


@cache
def _chemistry(number: int, table: str) -> tuple[tuple[int, ...], float | None]:
    """Return SMACT's oxidation states and Pauling electronegativity; () and None if unknown."""
    import smact

    try:
        element = smact.Element(SYMBOLS[number - 1])
    except (KeyError, NameError):  # SMACT ends at Z = 103
        return (), None
    return tuple(getattr(element, TABLES[table]) or ()), element.pauling_eneg
