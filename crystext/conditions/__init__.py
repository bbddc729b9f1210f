"""What a user asks of a crystal: said in the prompt, seen to while drawing, checked afterwards.

`parse` knows how values are written, `conditions` holds what is asked for and judges a crystal by
it, `kept` is the record of the verdict, and `table` reads many conditions from a file.
"""

from crystext.conditions.conditions import NAMES, Conditions
from crystext.conditions.outcome import Kept, matched
from crystext.conditions.table import Row, Table, read_table

__all__ = ["NAMES", "Conditions", "Kept", "Row", "Table", "matched", "read_table"]
