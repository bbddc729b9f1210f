"""What a user asks of a crystal: said in the prompt, seen to while drawing, checked afterwards.

`conditions` holds what is asked for and the verdict on a crystal, `parse` the spellings of values.
"""

from crystext.conditions.conditions import NAMES, Conditions, Kept, matched

__all__ = ["NAMES", "Conditions", "Kept", "matched"]
