"""Conditioning: do crystals satisfy the conditions that they were generated with?

    success of a condition = #{i : crystal i satisfies it} / #{i : sample i has the condition}
    success                = #{i : crystal i satisfies all that can be checked} / #{i : has any}

A formula is satisfied if the reduced formulas are equal, a space group or crystal system if spglib
finds it at 0.1 Å, a number of atoms if the cell has it, a density within 5%. Formation energy, band
gap and energy above the hull cannot be computed here, and count neither for nor against. Source:
Gruver et al., arXiv:2402.04379, for formula and space group; the rest is our own.

What goes wrong otherwise: failures, or samples that were repeated until one was right, are left out
of the denominator; and a space group is taken from the text where the atoms do not have it.
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
        crystal: the generated crystal, or None for a failure.

    Raises:
        SettingError: a condition is unknown, or makes no sense.
    """
    return Conditions.from_keywords(**conditions).check(crystal)
