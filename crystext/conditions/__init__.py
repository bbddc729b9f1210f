"""What a user asks of a crystal: said in the prompt, seen to while drawing, checked afterwards.

`parse` knows how values are written, `conditions` holds what is asked for and judges a crystal by
it, `outcome` is the record of the verdict, and `table` reads many conditions from a file.
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
