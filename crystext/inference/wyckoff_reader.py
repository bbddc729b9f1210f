"""Reads texts of the Wyckoff format for the sampler: texts can be at different fields.

One text writes an element while another writes a coordinate. A crowded crystal (see
`grammar.wyckoff.automaton`), or one of another space group than its text declares, restarts:
samples follow the model's distribution conditional on neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.grammar.fields import END, FieldKind
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.grammar.wyckoff.overlap import are_apart
from crystext.grammar.wyckoff.token_reader import (
    TokenKind,
    WyckoffTokenReader,
    has_wyckoff_vocabulary,
)
from crystext.inference.request_grammar import must_be_redrawn
from crystext.inference.text_batch import Step, TextBatch
from crystext.inference.types import Request
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format
from crystext.text.formats import MAX_ANGLE

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel

_ROW_STEP = 32
"""Logits are computed for multiples of this number of texts."""

_FIELD_KINDS = {
    TokenKind.GROUP: FieldKind.GROUP,
    TokenKind.ELEMENT: FieldKind.ELEMENT,
    TokenKind.POSITION: FieldKind.POSITION,
    TokenKind.COORDINATE: FieldKind.COORDINATE,
}
_TOKEN_KINDS = {field: token for token, field in _FIELD_KINDS.items()}


class WyckoffVocabulary:
    """The tokens of the Wyckoff format."""

    def __init__(self, model: LoadedModel | SamplingModel, fmt: Format) -> None:
        """Look up the tokens.

        Raises:
            ModelError: the model has another vocabulary.
        """
        self.format, self.ids = fmt, WyckoffTokenReader(model.tokenizer)

    @staticmethod
    def fits(model: LoadedModel | SamplingModel, fmt: Format) -> bool:
        """Return whether a model writes this format in tokens of the crystal vocabulary."""
        return has_wyckoff_vocabulary(model.tokenizer, fmt)

    def start(self, request: Request, count: int, *, final: bool) -> WyckoffReader:
        """Return a reader of new texts; a final one finishes them all.

        Raises:
            SettingError: no crystal of that space group can have the requested atoms.
        """
        raise_if_infeasible(request.constraints)
        reader = WyckoffReader(self, request)
        reader.add(count, final=final)
        return reader

    def add(self, reader: WyckoffReader, count: int, *, final: bool) -> None:
        """Begin more texts of a reader."""
        reader.add(count, final=final)


class _WyckoffText:
    """One text of a batch: its automaton, and the written part of a cell parameter."""

    __slots__ = ("automaton", "final", "token_kind", "whole")

    def __init__(self, automaton: WyckoffAutomaton, *, final: bool) -> None:
        self.automaton: WyckoffAutomaton = automaton
        self.final = final
        self.token_kind: TokenKind = TokenKind.GROUP
        self.whole = 0

    def push(self, value: int) -> None:
        """Take the value of the next token."""
        if self.token_kind in (TokenKind.WHOLE, TokenKind.FIRST_WHOLE):
            self.whole, self.token_kind = value, TokenKind.DECIMALS
            return
        if self.token_kind is TokenKind.DECIMALS:
            value += self.whole * DECIMALS
        self.automaton.push(value)
        self.token_kind = _TOKEN_KINDS.get(self.automaton.field.kind, TokenKind.WHOLE)

    def end_orbits(self) -> None:
        """Begin the cell; its first token is chosen in the same step."""
        self.automaton.push(END)
        self.token_kind = TokenKind.FIRST_WHOLE

    def allowed(self) -> Bools:
        """Return which values the next token may have."""
        if self.token_kind is TokenKind.FIRST_WHOLE:
            return self.automaton.allowed_wholes()
        if self.token_kind is TokenKind.WHOLE:
            # Lengths have fewer whole parts than angles, and the same tokens.
            allowed = np.zeros(MAX_ANGLE, dtype=np.bool_)
            wholes = self.automaton.allowed_wholes()
            allowed[: len(wholes)] = wholes
            return allowed
        if self.token_kind is TokenKind.DECIMALS:
            return self.automaton.allowed_decimals(self.whole)
        return self.automaton.allowed()


class WyckoffReader:
    """A batch of texts of the Wyckoff format."""

    extra_draws = 1
    """The first length of the cell is sampled in the step in which the orbits end."""

    def __init__(self, vocabulary: WyckoffVocabulary, request: Request) -> None:
        self.format, self.ids = vocabulary.format, vocabulary.ids
        self.request = request
        self.texts: list[_WyckoffText] = []
        # The group, at most five tokens for each atom, two for each cell parameter.
        max_atoms = request.constraints.max_atoms
        self.max_tokens, self.max_redrawn_fields = 1 + 5 * max_atoms + 12, 3 * max_atoms

    def add(self, count: int, *, final: bool) -> None:
        """Begin more texts; final ones cannot restart, and are finished as well as possible."""
        ahead = lookahead_for(self.request.constraints)
        for _ in range(count):
            automaton = WyckoffAutomaton(self.format, ahead, always_finish=final)
            self.texts.append(_WyckoffText(automaton, final=final))

    def choose(self, batch: TextBatch) -> Step:
        """Sample the next token of each text; texts without room for a cell are abandoned."""
        tokens: Ints = np.zeros(len(self.texts), dtype=np.int64)
        abandoned: Bools = np.zeros(len(self.texts), dtype=np.bool_)
        by_kind: dict[TokenKind, list[int]] = {}
        for row, text in enumerate(self.texts):
            by_kind.setdefault(text.token_kind, []).append(row)
        for kind, kind_rows in by_kind.items():
            rows = np.array(kind_rows)
            logits = batch.logits(self.ids.choices[kind], rows=rows, row_step=_ROW_STEP)
            self._choose_tokens(batch, kind, rows, logits, tokens, abandoned)
        ended = np.array([text.automaton.finished for text in self.texts], dtype=np.bool_)
        return Step(tokens, ended, abandoned)

    def take(self, rows: Ints | None) -> None:
        """Keep these texts; each has its token already."""
        if rows is not None:
            self.texts = [self.texts[row] for row in rows.tolist()]

    def accepts(self, row: int, text: str) -> bool:
        """Return whether a text is not crowded and has the space group that it declares."""
        automaton = self.texts[row].automaton
        if self.texts[row].final:
            return True
        if automaton.atoms_too_close:
            return False
        return automaton.surely_has_declared_group() or not must_be_redrawn(
            self.request, text, self.format
        )

    def _choose_tokens(
        self,
        batch: TextBatch,
        kind: TokenKind,
        rows: Ints,
        logits: torch.Tensor,
        tokens: Ints,
        abandoned: Bools,
    ) -> None:
        """Sample the tokens of the texts at one token kind, and pass them to the automata.

        Args:
            batch: the texts.
            kind: of the next token of these texts.
            rows: the texts at this kind.
            logits: of the kind's `choices`, shape (rows, choices).
            tokens, abandoned: of all texts; these are filled in.
        """
        first = self.ids.first_value(kind)
        if kind is TokenKind.ELEMENT:
            values, lengths = self._draw_elements(batch, rows, logits)
            ends = values == END
            if ends.any():
                for row in rows[ends].tolist():
                    self.texts[row].end_orbits()
                length_logits = lengths[torch.from_numpy(ends)]
                self._choose_tokens(
                    batch, TokenKind.FIRST_WHOLE, rows[ends], length_logits, tokens, abandoned
                )
            rows, values = rows[~ends], values[~ends]
        elif kind is TokenKind.COORDINATE:
            values = self._draw_coordinates(batch, rows, logits)
        else:
            allowed = np.stack([self.texts[row].allowed()[first:] for row in rows.tolist()])
            if not (some := allowed.any(axis=1)).all():
                abandoned[rows[~some]] = True
                rows, allowed = rows[some], allowed[some]
                logits = logits[torch.from_numpy(some)]
            number = batch.extra_draw if kind is TokenKind.FIRST_WHOLE else None
            field = _FIELD_KINDS.get(kind, FieldKind.CELL)
            values = first + batch.draw(field, logits, allowed, rows=rows, number=number)
        tokens[rows] = self.ids.choices[kind][values - first]
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            self.texts[row].push(value)

    def _draw_elements(
        self, batch: TextBatch, rows: Ints, logits: torch.Tensor
    ) -> tuple[Ints, torch.Tensor]:
        """Sample an element for each text, or the end of the orbits.

        The end of the orbits has the probability of all first lengths together, so that at another
        temperature it counts as one choice beside the elements. The length is sampled afterwards.

        Returns:
            The elements, and the logits of the first lengths: shape (rows, lengths).
        """
        elements, lengths = logits.tensor_split([self.ids.n_elements], dim=1)
        ends = lengths.float().logsumexp(dim=1, keepdim=True)
        choices = torch.cat([ends, elements.float()], dim=1)
        allowed = np.stack([self.texts[row].allowed() for row in rows.tolist()])
        return batch.draw(FieldKind.ELEMENT, choices, allowed, rows=rows), lengths

    def _draw_coordinates(self, batch: TextBatch, rows: Ints, kind_logits: torch.Tensor) -> Ints:
        """Sample a coordinate for each text that leaves its orbit room in some cell."""
        automata = [self.texts[row].automaton for row in rows.tolist()]

        def is_free(values: Ints, which: Ints) -> Bools:
            pairs = zip(which.tolist(), values.tolist(), strict=True)
            return are_apart([automata[i].new_orbit(value) for i, value in pairs])

        return batch.draw_free_coordinate(
            kind_logits, is_free, lambda i: automata[i].allowed(), rows=rows
        )
