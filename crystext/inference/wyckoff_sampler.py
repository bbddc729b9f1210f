"""Draws crystals by their symmetry from a model of the small vocabulary, a batch at a time.

Texts of a batch take a token each at every step, wherever each of them is: one writes an element
while another writes a coordinate. A crowded crystal (see `grammar.wyckoff.automaton`), or one of
another space group than its text declares, is drawn again from its start: what comes is what the
model would draw under the condition that it is neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crystext.grammar.fields import END, FieldKind
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.grammar.wyckoff.token_reader import TokenKind, WyckoffTokenReader
from crystext.inference.categorical import draw_categorical, uniform_numbers
from crystext.inference.fast_llama import FastLlama, KVBatch
from crystext.inference.guidance import mix_logits, weighted_prompts
from crystext.inference.request_grammar import MAX_RESTARTS, must_be_redrawn
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import WYCKOFF, Format
from crystext.text.formats import MAX_ANGLE
from crystext.tokenization.encode import prompt_ids

_COORDINATE_REDRAWS = 8
"""How often a coordinate that leaves no room is drawn again before all values are looked at."""

_ROW_STEP = 32
"""Logits are made for numbers of texts that are multiples of this."""

_FIELD_KINDS = {
    TokenKind.GROUP: FieldKind.GROUP,
    TokenKind.ELEMENT: FieldKind.ELEMENT,
    TokenKind.POSITION: FieldKind.POSITION,
    TokenKind.COORDINATE: FieldKind.COORDINATE,
}


class WyckoffSampler:
    """A model of the small vocabulary, ready to draw texts by symmetry."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, fmt: Format = WYCKOFF
    ) -> None:
        """Lay the model out for drawing.

        Raises:
            ModelError: it has another vocabulary, or is no plain LLaMA.
        """
        self.settings, self.format, self.tokenizer = settings, fmt, model.tokenizer
        self.token_reader = WyckoffTokenReader(model.tokenizer)
        self.pieces = {i: piece for piece, i in model.tokenizer.get_vocab().items()}
        self.llama = FastLlama(model.network, torch.bfloat16)

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Draw one text for each index.

        A text depends on the seed, its index and how often it was drawn before, and on the rest of
        the batch through rounding.

        Raises:
            ModelError: the texts could be longer than the model knows positions for.
            SettingError: no crystal of that space group can have the atoms asked for.
        """
        raise_if_infeasible(request.constraints)
        done: dict[int, Attempt] = {}
        left = list(indices)
        with torch.inference_mode():
            for again in range(MAX_RESTARTS):
                batch = _WyckoffBatch(self, request, left, redraw, again)
                done |= batch.run()
                left = [index for index in left if index not in done]
                if not left:
                    break
        return [done[index] for index in indices]


class _WyckoffText:
    """One text of a batch: its automaton, and what of a cell parameter is written."""

    __slots__ = ("automaton", "place", "turn", "whole")

    def __init__(self, automaton: WyckoffAutomaton, batch_index: int) -> None:
        self.automaton, self.place = automaton, batch_index
        self.turn, self.whole = TokenKind.GROUP, 0

    def push(self, value: int) -> None:
        """Take the value of this turn's token, and turn to the next."""
        if self.turn in (TokenKind.WHOLE, TokenKind.FIRST_WHOLE):
            self.whole, self.turn = value, TokenKind.DECIMALS
            return
        if self.turn is TokenKind.DECIMALS:
            value += self.whole * DECIMALS
        self.automaton.push(value)
        kind = self.automaton.field.kind
        self.turn = _TOKEN_KINDS.get(kind, TokenKind.WHOLE)

    def allowed(self) -> Bools:
        """Return which values this turn's token may have."""
        if self.turn is TokenKind.FIRST_WHOLE:
            return self.automaton.allowed_wholes()
        if self.turn is TokenKind.WHOLE:
            # Lengths have fewer whole parts than angles, and the same tokens.
            allowed = np.zeros(MAX_ANGLE, dtype=np.bool_)
            wholes = self.automaton.allowed_wholes()
            allowed[: len(wholes)] = wholes
            return allowed
        if self.turn is TokenKind.DECIMALS:
            return self.automaton.allowed_decimals(self.whole)
        return self.automaton.allowed()


_TOKEN_KINDS = {kind: turn for turn, kind in _FIELD_KINDS.items()}


class _WyckoffBatch:
    """The state of one batch while it is drawn. Text i is number `texts[i].place` of the batch."""

    def __init__(
        self,
        sampler: WyckoffSampler,
        request: Request,
        indices: Sequence[int],
        redraw: int,
        restart: int,
    ) -> None:
        settings, constraints = sampler.settings, request.constraints
        self.sampler, self.settings, self.indices = sampler, settings, indices
        self.request = request
        ahead, self.always_finish = lookahead_for(constraints), restart + 1 == MAX_RESTARTS
        self.texts = [
            _WyckoffText(
                WyckoffAutomaton(sampler.format, ahead, always_finish=self.always_finish), i
            )
            for i in range(len(indices))
        ]
        # The group, five tokens for each atom at the most, two for each parameter of the cell.
        self.steps = 1 + 5 * constraints.max_atoms + 12
        self.prompts = weighted_prompts(request, settings.guidance)
        self.states = [self._start_texts(asked.prompt) for asked in self.prompts]
        """The same texts in the network, behind each prompt."""
        columns = 3 * constraints.max_atoms
        count = self.steps + 1 + _COORDINATE_REDRAWS * columns
        numbers = uniform_numbers(settings.seed, indices, count, redraw=redraw, restart=restart)
        self.uniform = torch.from_numpy(numbers)
        self.columns = np.zeros(len(indices), dtype=np.int64)
        self.step = 0
        self.written_B_T = np.zeros((len(indices), self.steps), dtype=np.int64)
        """Token ids of the texts, in the order of the batch."""
        self.log_probability = torch.zeros(len(indices), dtype=torch.float64)
        self.done: dict[int, Attempt] = {}

    def _start_texts(self, prompt: str) -> KVBatch:
        ids = torch.tensor(prompt_ids(self.sampler.tokenizer, prompt))
        return KVBatch(self.sampler.llama, ids, len(self.indices), len(ids) + self.steps)

    def run(self) -> dict[int, Attempt]:
        """Return the attempts that need not be drawn again, by index."""
        while self.texts:
            logits = self._logits()
            tokens = np.zeros(len(self.texts), dtype=np.int64)
            by_turn: dict[TokenKind, list[int]] = {}
            for row, text in enumerate(self.texts):
                by_turn.setdefault(text.turn, []).append(row)
            stays = np.ones(len(self.texts), dtype=np.bool_)
            for turn, rows in by_turn.items():
                self._draw_tokens(turn, np.array(rows), logits, tokens, stays)
            written = [text.place for text in self.texts]
            self.written_B_T[written, self.step] = tokens
            self.step += 1
            for row, text in enumerate(self.texts):
                if text.automaton.finished:
                    self._finish(text)
                stays[row] &= not text.automaton.finished
            self._advance(tokens, stays)
        return self.done

    def _logits(self) -> torch.Tensor:
        """Return the logits of the tokens of all turns: shape (texts, tokens)."""
        rows = len(self.texts)
        ids = torch.from_numpy(self.sampler.token_reader.ids)
        behind = []
        for state in self.states:
            # Kernels are compiled, and kept, for every new shape.
            hidden = torch.nn.functional.pad(state.hidden_B_D, (0, 0, 0, -rows % _ROW_STEP))
            behind.append(self.sampler.llama.logits(hidden, ids)[:rows])
        return mix_logits(behind, self.prompts)

    def _draw_tokens(
        self, kind: TokenKind, rows: Ints, logits: torch.Tensor, tokens: Ints, stays: Bools
    ) -> None:
        """Draw the tokens of the texts that are at one turn, and hand them to the automata."""
        kind_logits = logits[torch.from_numpy(rows), self.sampler.token_reader.slices[kind]]
        if kind is TokenKind.ELEMENT:
            values, ends = self._draw_elements(rows, kind_logits, logits)
            if ends.any():
                ending = rows[ends]
                for row in ending.tolist():
                    self.texts[row].automaton.push(END)
                    self.texts[row].turn = TokenKind.FIRST_WHOLE
                self._draw_tokens(TokenKind.FIRST_WHOLE, ending, logits, tokens, stays)
            rows, values = rows[~ends], values[~ends]
        elif kind is TokenKind.COORDINATE:
            values = self._draw_coordinates(rows, kind_logits)
        else:
            number = self.steps if kind is TokenKind.FIRST_WHOLE else self.step
            first = self.sampler.token_reader.first_value(kind)
            allowed = np.stack([self.texts[row].allowed()[first:] for row in rows.tolist()])
            if not (some := allowed.any(axis=1)).all():
                stays[rows[~some]] = False
                rows, kind_logits, allowed = (
                    rows[some],
                    kind_logits[torch.from_numpy(some)],
                    allowed[some],
                )
            values = first + self._draw(kind, rows, kind_logits, number, allowed)
        start, first = (
            self.sampler.token_reader.slices[kind].start,
            self.sampler.token_reader.first_value(kind),
        )
        tokens[rows] = self.sampler.token_reader.ids[start - first + values]
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            self.texts[row].push(value)

    def _draw_elements(
        self, rows: Ints, kind_logits: torch.Tensor, logits: torch.Tensor
    ) -> tuple[Ints, Bools]:
        """Draw an element for each text, or the end of the orbits; return which end, too.

        That the orbits end has the probability of all first lengths together, so that at another
        temperature it counts as one choice beside the elements. Which length it is comes after.
        """
        lengths = logits[
            torch.from_numpy(rows), self.sampler.token_reader.slices[TokenKind.FIRST_WHOLE]
        ]
        ends = lengths.float().logsumexp(dim=1, keepdim=True)
        choices = torch.cat([ends, kind_logits.float()], dim=1)
        allowed = np.stack([self.texts[row].allowed() for row in rows.tolist()])
        values = self._draw(TokenKind.ELEMENT, rows, choices, self.step, allowed)
        return values, values == END

    def _draw_coordinates(self, rows: Ints, kind_logits: torch.Tensor) -> Ints:
        """Draw a coordinate for each text: draw, look, and draw again where there is no room.

        Leaving out single values one at a time gives the distribution over the values that have
        room, without looking at all of them. With top-p, the most probable values are taken before
        those without room are known.
        """
        values, _ = self._pick(TokenKind.COORDINATE, rows, kind_logits, self.step, None)
        allowed: Bools | None = None
        asked = np.arange(len(rows))
        first_try = self.steps + 1 + _COORDINATE_REDRAWS * self.columns[self._batch_indices(rows)]
        self.columns[self._batch_indices(rows)] += 1
        for number in range(_COORDINATE_REDRAWS):
            pairs = zip(rows[asked].tolist(), values[asked].tolist(), strict=True)
            clear = [self.texts[row].automaton.has_room(np.array([v]))[0] for row, v in pairs]
            asked = asked[~np.array(clear, dtype=np.bool_)]
            if not len(asked):
                break
            if allowed is None:
                allowed = np.ones(kind_logits.shape, dtype=np.bool_)
            allowed[asked, values[asked]] = False
            if number == _COORDINATE_REDRAWS - 1:
                for i in asked.tolist():
                    allowed[i] = self.texts[int(rows[i])].automaton.allowed()
            numbers = first_try[asked] + number
            values[asked], _ = self._pick(
                TokenKind.COORDINATE,
                rows[asked],
                kind_logits[torch.from_numpy(asked)],
                numbers,
                allowed[asked],
            )
        chosen = kind_logits.float().log_softmax(dim=1).gather(1, torch.from_numpy(values)[:, None])
        self.log_probability[self._batch_indices(rows)] += chosen.squeeze(1)
        return values

    def _batch_indices(self, rows: Ints) -> Ints:
        return np.array([self.texts[row].place for row in rows.tolist()], dtype=np.int64)

    def _draw(
        self, kind: TokenKind, rows: Ints, logits: torch.Tensor, number: int, allowed: Bools
    ) -> Ints:
        values, log_probability = self._pick(kind, rows, logits, number, allowed)
        self.log_probability[self._batch_indices(rows)] += log_probability
        return values

    def _pick(
        self,
        kind: TokenKind,
        rows: Ints,
        logits: torch.Tensor,
        number: int | Ints,
        allowed: Bools | None,
    ) -> tuple[Ints, torch.Tensor]:
        """Draw for these texts with their random numbers of this number."""
        values, log_probability = draw_categorical(
            logits,
            self.uniform[self._batch_indices(rows), number],
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=self.settings.temperature_of(_FIELD_KINDS.get(kind, FieldKind.LENGTH)),
            top_p=self.settings.top_p,
        )
        return values.numpy(), log_probability

    def _advance(self, tokens: Ints, stays: Bools) -> None:
        """Drop the texts that are finished or crowded, and add a token to the others."""
        if not stays.all():
            for state in self.states:
                order = state.keep(torch.from_numpy(stays))
            self.texts = [self.texts[row] for row in order.tolist()]
            tokens = tokens[order.numpy()]
        if self.texts:
            for state in self.states:
                state.append(torch.from_numpy(tokens))

    def _finish(self, text: _WyckoffText) -> None:
        """Take a text that has come to its end, unless it is to be drawn again."""
        ids = self.written_B_T[text.place, : self.step].tolist()
        # Pieces of the small vocabulary that make a field are the text they stand for.
        written = "".join([self.sampler.pieces[i] for i in ids])
        if not self.always_finish and (
            text.automaton.atoms_too_close
            or must_be_redrawn(self.request, written, self.sampler.format)
        ):
            return
        index = self.indices[text.place]
        self.done[index] = Attempt(
            index=index,
            text=written,
            fault=None,
            log_probability=round(float(self.log_probability[text.place]), 4),
            tokens=self.step + 1,
        )
