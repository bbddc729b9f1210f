"""Reads coordinate texts and completions for the sampler: all texts are at the same field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crystext.grammar.completion_token_reader import CompletionTokenReader
from crystext.grammar.fields import END, FieldKind
from crystext.grammar.infilling import InfillingAutomaton
from crystext.grammar.token_reader import (
    DECIMALS,
    CoordinateTokenReader,
    allowed_decimals,
    allowed_whole_parts,
    has_crystal_vocabulary,
)
from crystext.inference.request_grammar import automaton_for
from crystext.inference.text_batch import Step, TextBatch
from crystext.inference.types import Request
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel


class CoordinateVocabulary:
    """The tokens of a coordinate format."""

    def __init__(self, model: LoadedModel | SamplingModel, fmt: Format) -> None:
        """Look up the tokens.

        Raises:
            ModelError: the model has another vocabulary.
        """
        self.format, self.tokenizer = fmt, model.tokenizer
        self.ids = CoordinateTokenReader(model.tokenizer)

    @staticmethod
    def fits(model: LoadedModel | SamplingModel, fmt: Format) -> bool:
        """Return whether a model writes this format in tokens of the crystal vocabulary."""
        return has_crystal_vocabulary(model.tokenizer, fmt)

    def start(self, request: Request, count: int, *, final: bool) -> CoordinateReader:
        """Return a reader of new texts; all finished texts are accepted."""
        return CoordinateReader(self, request, count)


class CoordinateReader:
    """A batch of coordinate texts. A cell parameter takes two tokens, all else one."""

    extra_draws = 0

    def __init__(self, vocabulary: CoordinateVocabulary, request: Request, count: int) -> None:
        self.automaton = automaton_for(request, vocabulary.format, count)
        self.ids: CoordinateTokenReader | CompletionTokenReader = vocabulary.ids
        # Two tokens for each cell parameter, four for each atom, and the end.
        max_atoms = request.constraints.max_atoms
        self.max_tokens, self.max_redrawn_fields = 12 + 4 * max_atoms + 1, max_atoms
        if isinstance(self.automaton, InfillingAutomaton):
            fields = [blank.field for blank in self.automaton.fields]
            self.ids = CompletionTokenReader(vocabulary.tokenizer, vocabulary.format, fields)
            self.max_tokens = self.ids.max_tokens
            self.max_redrawn_fields = sum(
                field.kind is FieldKind.COORDINATE and field.axis == 1 for field in fields
            )
        self._begin_field()

    def _begin_field(self) -> None:
        index = self.automaton.field_index
        self._forced = list(self.ids.forced_tokens(index))
        """Tokens that precede the field for any of its values, and are not written yet."""
        self._values: Ints | None = None
        """The tokens sampled for the field."""
        self._allowed: Bools | None = None
        self._wholes: Ints | None = None
        """For the current number: its values, and its whole part once it is chosen."""

    def choose(self, batch: TextBatch) -> Step:
        """Sample the next token of each text."""
        automaton, count = self.automaton, len(self.automaton)
        none: Bools = np.zeros(count, dtype=np.bool_)
        if self._forced:
            return Step(np.full(count, self._forced[0], dtype=np.int64), none)
        ids, kind = self.ids.tokens_at(automaton.field_index), automaton.field.kind
        if kind is FieldKind.ELEMENT:
            allowed = automaton.allowed()[:, : len(ids[0])]
            self._values = batch.draw(kind, batch.logits(ids[0]), allowed)
            return Step(ids[0][self._values], self._values == END)
        if kind is FieldKind.COORDINATE:
            self._values = self._draw_coordinate(batch, ids[0])
            return Step(ids[0][self._values], none)
        if self._wholes is None or self._allowed is None:
            self._allowed, part = automaton.allowed(), ids[0]
            allowed = allowed_whole_parts(self._allowed)
        else:
            part, allowed = ids[1], allowed_decimals(self._allowed, self._wholes)
        self._values = batch.draw(kind, batch.logits(part), allowed)
        return Step(part[self._values], none)

    def _draw_coordinate(self, batch: TextBatch, ids: Ints) -> Ints:
        automaton, logits = self.automaton, batch.logits(ids)
        looks = automaton.field.axis == 1 and automaton.min_distance_ratio > 0
        if looks and not automaton.is_given:
            return batch.draw_free_coordinate(logits, automaton.leaves_free_z, automaton.free_y)
        return batch.draw(FieldKind.COORDINATE, logits, automaton.allowed())

    def take(self, rows: Ints | None) -> None:
        """Take the chosen tokens of the texts that continue."""
        if rows is not None:
            self.automaton.keep(rows)
        if self._forced:
            self._forced.pop(0)
            return
        assert self._values is not None, "tokens are chosen before they are taken"
        values = self._values if rows is None else self._values[rows]
        if self.automaton.field.kind in (FieldKind.LENGTH, FieldKind.ANGLE):
            if self._wholes is None:
                self._wholes = values
                return
            values = self._wholes * DECIMALS + values
        self.automaton.push(values)
        self._begin_field()

    def accepts(self, row: int, text: str) -> bool:
        """Accept every text."""
        return True
