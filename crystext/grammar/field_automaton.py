"""What the automaton of one text in any format offers, whatever the tokenizer.

What goes wrong otherwise: `any_tokenizer`, which reads such automata, imports torch, and a command
that only describes a run would take a second longer.
"""

from __future__ import annotations

from typing import Protocol, Self

from crystext.chemistry.elements import SYMBOLS
from crystext.grammar.fields import Field
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format

ELEMENT_LETTERS = frozenset(letter for symbol in SYMBOLS for letter in symbol)
"""The letters of element symbols."""


class FieldAutomaton(Protocol):
    """An automaton of one text: of a whole crystal or of a completion."""

    format: Format

    @property
    def field(self) -> Field:
        """The field that comes next; after the last, an element that can only be the end."""

    def separator_after(self, value: int) -> str:
        """Return the separator between this value of the next field and the field after it."""

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (1, number of values)."""

    def push(self, values: Ints) -> None:
        """Take a value for the next field: shape (1,)."""

    def copy(self) -> Self:
        """Return an independent automaton in the same state."""
