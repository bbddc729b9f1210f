"""Conditions on a crystal: enforced by the grammar, steered by the prompt, checked.

`parse` reads the values of conditions, `conditions` holds them and checks a crystal against them,
as `measure` finds it; `outcome` records the result of each check, and `table` reads many requests
from a file.
"""

from crystext.conditions.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.outcome import ConditionResult, all_satisfied
from crystext.conditions.table import ConditionRow, ConditionTable, read_condition_table

__all__ = [
    "CONDITION_NAMES",
    "ConditionResult",
    "ConditionRow",
    "ConditionTable",
    "Conditions",
    "all_satisfied",
    "read_condition_table",
]
