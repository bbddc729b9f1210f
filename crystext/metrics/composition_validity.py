"""Composition validity: can the charges of these elements, in these numbers, balance?

A composition is valid if
  1. it has one element only; or
  2. all its elements are metals in SMACT's list (the alloy shortcut, which can be turned off); or
  3. each element can take one oxidation state q_i of the table, the same for all its n_i atoms, so
     that  sum_i n_i q_i = 0  and every anion is more electronegative than every cation (Pauling's
     test). Where SMACT knows no electronegativity for one of the elements, the test counts as
     passed.

Source: SMACT, Davies et al., Chem 1, 617 (2016), as CDVAE uses it (Xie et al., ICLR 2022,
arXiv:2110.06197). The table must be named: on MP-20 test (9,046 crystals) SMACT's table of 2014
finds .9124 valid and the one of ICSD 2024 .9095; without the shortcut .6686 and .6315.

What goes wrong otherwise: `smact.screening.smact_validity` rejects every charge state of an element
without electronegativity (Pm in MP-20) and by default filters a third table, so it gives other
rates; and a rate well above that of real crystals means many alloys, not good chemistry.
"""

from __future__ import annotations

import numpy as np

from crystext.chemistry.oxidation import OXIDATION_TABLES, can_be_neutral
from crystext.errors import SettingError, did_you_mean
from crystext.metrics.base import Metric, per_crystal
from crystext.structures.crystal import Crystal, Ints


def is_composition_valid(numbers: Ints, *, table: str = "smact14", alloys: bool = True) -> bool:
    """Return whether the composition of a crystal is valid.

    An element that the table lacks has no oxidation state, so its compounds fail the third rule.

    Args:
        numbers: atomic numbers of all atoms, in any order; shape (N,), N at least 1.
        table: a name of `oxidation.OXIDATION_TABLES`.
        alloys: accept compositions of metals only, whatever their charges.

    Raises:
        SettingError: the table is unknown.
    """
    if table not in OXIDATION_TABLES:
        raise SettingError(
            f"unknown oxidation table {table!r}; the tables are {', '.join(OXIDATION_TABLES)}."
            + did_you_mean(table, OXIDATION_TABLES)
        )
    found, counts = np.unique(numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    return can_be_neutral(tuple(found.tolist()), tuple(counts.tolist()), table, alloys)


def _is_valid(crystal: Crystal) -> bool:
    return is_composition_valid(crystal.numbers)


COMPOSITION_VALID = Metric(
    name="composition_valid",
    title="composition valid (SMACT14)",
    compute=per_crystal(_is_valid),
    better="higher",
    source="Davies et al., Chem 1, 617 (2016), as in Xie et al., arXiv:2110.06197 (CDVAE)",
    libraries=("smact",),
)
