"""The grammar of the coordinate formats."""

from __future__ import annotations

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.base import Grammar
from crystext.grammar.fields import FieldKind, kind_after_coordinates


class CoordinateGrammar(Grammar):
    """Cells that close and atoms that keep their distance, element by element."""

    def automaton(self, constraints: Constraints) -> CoordinateAutomaton:
        """Return the automaton of one text."""
        return CoordinateAutomaton(self.format, 1, constraints)

    def kind_after(self, text: str) -> FieldKind:
        """Return the kind of the unfinished field at the end of a partial text."""
        return kind_after_coordinates(text, self.format)
