"""The grammar of completions: the missing lines of a partial crystal's text."""

from __future__ import annotations

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.base import Grammar
from crystext.grammar.fields import FieldKind, decimals_of, value_texts
from crystext.grammar.infilling import InfillingAutomaton, infill_fields
from crystext.text import Format
from crystext.text.partial import PartialCrystal


class CompletionGrammar(Grammar):
    """Lines that complete one partial crystal, in a format that lists sites."""

    def __init__(self, fmt: Format, partial: PartialCrystal) -> None:
        """Take the format and the partial crystal."""
        super().__init__(fmt)
        self.partial = partial

    def automaton(self, constraints: Constraints) -> InfillingAutomaton:
        """Return the automaton of one completion."""
        return InfillingAutomaton(self.format, 1, self.partial, constraints)

    def kind_after(self, text: str) -> FieldKind:
        """Return the kind of the unfinished field at the end of a partial completion."""
        fields = infill_fields(self.partial)
        values = text.replace("\n", " ").split(" ")
        index = min(len(values), len(fields)) - 1
        kind = fields[index].field.kind
        written = len(values[-1].partition(".")[2])
        done = kind is not FieldKind.ELEMENT and 0 < written == decimals_of(kind, self.format)
        return fields[min(index + done, len(fields) - 1)].field.kind

    def max_characters(self, constraints: Constraints) -> int:
        """Return an upper bound of the number of characters of a completion."""
        kinds = [field.field.kind for field in infill_fields(self.partial)]
        return sum(1 + max(map(len, value_texts(kind, self.format))) for kind in kinds)
