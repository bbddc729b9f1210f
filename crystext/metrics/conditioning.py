"""Conditioning: do crystals have what was asked for?

    success of a condition = #{i : crystal i has it} / #{i : it was asked of attempt i}
    success                = #{i : crystal i has all that was asked of it and can be checked} / ...

A formula is kept if the reduced formulas are equal, a space group or crystal system if spglib finds
it at 0.1 Å, a number of atoms if the cell has it, a density within 5%. Formation energy, band gap
and energy above the hull cannot be told from a crystal, and count neither for nor against. Source:
Gruver et al., arXiv:2402.04379, for formula and space group; the rest is our own.

What goes wrong otherwise: attempts that are no crystal, or were drawn again until one was right,
are left out of the denominator; and a space group is taken from the text, where the atoms have it
not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystext.conditions import ConditionResult, Conditions
from crystext.structures.crystal import Crystal


def check_conditions(
    conditions: Mapping[str, Any], crystal: Crystal | None
) -> tuple[ConditionResult, ...]:
    """Return for each condition whether a crystal satisfies it; None satisfies nothing.

    Args:
        conditions: the values requested, by condition name, as `Record.conditions` has them.
        crystal: what came of it.

    Raises:
        SettingError: a condition is none, or makes no sense.
    """
    return Conditions.from_keywords(**conditions).check(crystal)
