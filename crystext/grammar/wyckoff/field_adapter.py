"""The automaton of a Wyckoff text as a sequence of single-value fields, for `any_tokenizer`.

After an orbit comes either another one or the cell: the two are one field here, whose values are
the elements, followed by the values of the first length.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.grammar.fields import END, Field, FieldKind, value_count
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools

_ELEMENT_VALUES = len(SYMBOLS) + 1
_ELEMENT_OR_LENGTH = Field(FieldKind.ELEMENT_OR_LENGTH, 0, "\n")


class SingleValueFields:
    """One unfinished crystal; see `grammar.field_automaton.FieldAutomaton`."""

    def __init__(self, automaton: WyckoffAutomaton) -> None:
        """Wrap an automaton, which advances with the fields."""
        self._automaton, self.format = automaton, automaton.format

    @property
    def field(self) -> Field:
        """The field that comes next; after the last, an element that can only be the end."""
        field = self._automaton.field
        if field.kind is FieldKind.ELEMENT and not self._automaton.finished:
            return _ELEMENT_OR_LENGTH
        return field

    def separator_after(self, value: int) -> str:
        """Return the separator between this value of the next field and the field after it."""
        if self.field.kind is FieldKind.ELEMENT_OR_LENGTH:
            return " "
        return self._automaton.separator_after(value)

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (1, number of values)."""
        allowed = self._automaton.allowed()
        if self.field.kind is FieldKind.ELEMENT_OR_LENGTH:
            lengths = np.zeros(value_count(FieldKind.LENGTH, self.format), dtype=np.bool_)
            if allowed[END]:
                lengths = self._at_cell().allowed()
            allowed = np.concatenate([allowed, lengths])
            allowed[END] = False
        return allowed[None]

    def push(self, values: Ints) -> None:
        """Take a value for the next field: shape (1,)."""
        value = int(values[0])
        if self.field.kind is FieldKind.ELEMENT_OR_LENGTH and value >= _ELEMENT_VALUES:
            self._automaton.push(END)
            value -= _ELEMENT_VALUES
        self._automaton.push(value)

    def copy(self) -> Self:
        """Return independent fields in the same state."""
        return type(self)(self._automaton.copy())

    def _at_cell(self) -> WyckoffAutomaton:
        automaton = self._automaton.copy()
        automaton.push(END)
        return automaton
