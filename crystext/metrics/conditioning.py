"""Conditioning: do crystals satisfy the conditions they were generated with?

    success of a condition = #{i : crystal i satisfies it} / #{i : sample i has the condition}
    success                = #{i : crystal i satisfies all that can be checked} / #{i : has any}

A formula is satisfied if the reduced formulas are equal, a space group or crystal system if spglib
finds it at 0.1 Å, a number of atoms if the cell has it, a density within 5%. Formation energy, band
gap and energy above the hull cannot be computed here, and are ignored. Source: Gruver et al.,
arXiv:2402.04379, for formula and space group; the rest is our own.

What goes wrong otherwise: failures, or samples repeated until one was right, are left out of the
denominator; and a space group is taken from the text although the atoms do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystext.conditions import ConditionResult, Conditions
from crystext.structures.crystal import Crystal


def check_conditions(
    conditions: Mapping[str, Any], crystal: Crystal | None
) -> tuple[ConditionResult, ...]:
    """Return for each condition whether a crystal satisfies it; a failure satisfies none.

    Args:
        conditions: the requested values by condition name, as in `Record.conditions`.
        crystal: the generated crystal, or None for a failure.

    Raises:
        SettingError: a condition is unknown or invalid.
    """
    return Conditions.from_keywords(**conditions).check(crystal)
