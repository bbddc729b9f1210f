"""Draws crystals by their symmetry from a model of the small vocabulary, a batch at a time.

Texts of a batch take a token each at every step, wherever each of them is: one writes an element
while another writes a coordinate. A crowded crystal (see `symmetric.automaton`), or one of another
space group than its text declares, is drawn again from its start: what comes is what the model
would draw under the condition that it is neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crystext.grammar.fields import END, Kind
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.automaton import SymmetricAutomaton
from crystext.grammar.wyckoff.infeasible import refuse_the_impossible
from crystext.grammar.wyckoff.lookahead import look_ahead
from crystext.grammar.wyckoff.token_reader import SymmetricTokens, Turn
from crystext.inference.categorical import draw, uniform_numbers
from crystext.inference.fast_llama import ShortTextLlama, Texts
from crystext.inference.guidance import mix, weighted_prompts
from crystext.inference.request_grammar import MOST_DRAWS, is_misdrawn
from crystext.inference.types import Attempt, DrawSettings, Request
from crystext.models.load import LoadedModel
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import WYCKOFF, Format
from crystext.text.formats import MAX_ANGLE
from crystext.tokenization.encode import prompt_ids

_TRIES = 8
"""How often a coordinate that leaves no room is drawn again before all values are looked at."""

_ROW_STEP = 32
"""Logits are made for numbers of texts that are multiples of this."""

_KINDS = {
    Turn.GROUP: Kind.GROUP,
    Turn.ELEMENT: Kind.ELEMENT,
    Turn.POSITION: Kind.POSITION,
    Turn.COORDINATE: Kind.COORDINATE,
}


class SymmetricSampler:
    """A model of the small vocabulary, ready to draw texts by symmetry."""

    def __init__(self, model: LoadedModel, settings: DrawSettings, fmt: Format = WYCKOFF) -> None:
        """Lay the model out for drawing.

        Raises:
            ModelError: it has another vocabulary, or is no plain LLaMA.
        """
        self.settings, self.format, self.tokenizer = settings, fmt, model.tokenizer
        self.tokens = SymmetricTokens(model.tokenizer)
        self.pieces = {i: piece for piece, i in model.tokenizer.get_vocab().items()}
        self.llama = ShortTextLlama(model.network, torch.bfloat16)

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Draw one text for each index.

        A text depends on the seed, its index and how often it was drawn before, and on the rest of
        the batch through rounding.

        Raises:
            ModelError: the texts could be longer than the model knows positions for.
            SettingError: no crystal of that space group can have the atoms asked for.
        """
        refuse_the_impossible(request.constraints)
        done: dict[int, Attempt] = {}
        left = list(indices)
        with torch.inference_mode():
            for again in range(MOST_DRAWS):
                batch = _Batch(self, request, left, redraw, again)
                done |= batch.run()
                left = [index for index in left if index not in done]
                if not left:
                    break
        return [done[index] for index in indices]


class _Text:
    """One text of a batch: its automaton, and what of a cell parameter is written."""

    __slots__ = ("automaton", "place", "turn", "whole")

    def __init__(self, automaton: SymmetricAutomaton, place: int) -> None:
        self.automaton, self.place = automaton, place
        self.turn, self.whole = Turn.GROUP, 0

    def push(self, value: int) -> None:
        """Take the value of this turn's token, and turn to the next."""
        if self.turn in (Turn.WHOLE, Turn.FIRST_WHOLE):
            self.whole, self.turn = value, Turn.DECIMALS
            return
        if self.turn is Turn.DECIMALS:
            value += self.whole * DECIMALS
        self.automaton.push(value)
        kind = self.automaton.field.kind
        self.turn = _TURNS.get(kind, Turn.WHOLE)

    def allowed(self) -> Bools:
        """Return which values this turn's token may have."""
        if self.turn is Turn.FIRST_WHOLE:
            return self.automaton.allowed_wholes()
        if self.turn is Turn.WHOLE:
            # Lengths have fewer whole parts than angles, and the same tokens.
            allowed = np.zeros(MAX_ANGLE, dtype=np.bool_)
            wholes = self.automaton.allowed_wholes()
            allowed[: len(wholes)] = wholes
            return allowed
        if self.turn is Turn.DECIMALS:
            return self.automaton.allowed_decimals(self.whole)
        return self.automaton.allowed()


_TURNS = {kind: turn for turn, kind in _KINDS.items()}


class _Batch:
    """The state of one batch while it is drawn. Text i is number `texts[i].place` of the batch."""

    def __init__(
        self,
        sampler: SymmetricSampler,
        request: Request,
        indices: Sequence[int],
        redraw: int,
        again: int,
    ) -> None:
        settings, constraints = sampler.settings, request.constraints
        self.sampler, self.settings, self.indices = sampler, settings, indices
        self.request = request
        ahead, self.settles = look_ahead(constraints), again + 1 == MOST_DRAWS
        self.texts = [
            _Text(SymmetricAutomaton(sampler.format, ahead, settles=self.settles), i)
            for i in range(len(indices))
        ]
        # The group, five tokens for each atom at the most, two for each parameter of the cell.
        self.steps = 1 + 5 * constraints.max_atoms + 12
        self.prompts = weighted_prompts(request, settings.guidance)
        self.states = [self._read(asked.prompt) for asked in self.prompts]
        """The same texts in the network, behind each prompt."""
        columns = 3 * constraints.max_atoms
        count = self.steps + 1 + _TRIES * columns
        numbers = uniform_numbers(settings.seed, indices, count, redraw=redraw, again=again)
        self.uniform = torch.from_numpy(numbers)
        self.columns = np.zeros(len(indices), dtype=np.int64)
        self.step = 0
        self.written_B_T = np.zeros((len(indices), self.steps), dtype=np.int64)
        """Token ids of the texts, in the order of the batch."""
        self.log_probability = torch.zeros(len(indices), dtype=torch.float64)
        self.done: dict[int, Attempt] = {}

    def _read(self, prompt: str) -> Texts:
        ids = torch.tensor(prompt_ids(self.sampler.tokenizer, prompt))
        return Texts(self.sampler.llama, ids, len(self.indices), len(ids) + self.steps)

    def run(self) -> dict[int, Attempt]:
        """Return the attempts that need not be drawn again, by index."""
        while self.texts:
            logits = self._logits()
            tokens = np.zeros(len(self.texts), dtype=np.int64)
            by_turn: dict[Turn, list[int]] = {}
            for row, text in enumerate(self.texts):
                by_turn.setdefault(text.turn, []).append(row)
            stays = np.ones(len(self.texts), dtype=np.bool_)
            for turn, rows in by_turn.items():
                self._take(turn, np.array(rows), logits, tokens, stays)
            written = [text.place for text in self.texts]
            self.written_B_T[written, self.step] = tokens
            self.step += 1
            for row, text in enumerate(self.texts):
                if text.automaton.finished:
                    self._finish(text)
                stays[row] &= not text.automaton.finished
            self._go_on(tokens, stays)
        return self.done

    def _logits(self) -> torch.Tensor:
        """Return the logits of the tokens of all turns: shape (texts, tokens)."""
        rows = len(self.texts)
        ids = torch.from_numpy(self.sampler.tokens.ids)
        behind = []
        for state in self.states:
            # Kernels are compiled, and kept, for every new shape.
            hidden = torch.nn.functional.pad(state.hidden_B_D, (0, 0, 0, -rows % _ROW_STEP))
            behind.append(self.sampler.llama.logits(hidden, ids)[:rows])
        return mix(behind, self.prompts)

    def _take(
        self, turn: Turn, rows: Ints, logits: torch.Tensor, tokens: Ints, stays: Bools
    ) -> None:
        """Draw the tokens of the texts that are at one turn, and hand them to the automata."""
        own = logits[torch.from_numpy(rows), self.sampler.tokens.places[turn]]
        if turn is Turn.ELEMENT:
            values, ends = self._elements(rows, own, logits)
            if ends.any():
                ending = rows[ends]
                for row in ending.tolist():
                    self.texts[row].automaton.push(END)
                    self.texts[row].turn = Turn.FIRST_WHOLE
                self._take(Turn.FIRST_WHOLE, ending, logits, tokens, stays)
            rows, values = rows[~ends], values[~ends]
        elif turn is Turn.COORDINATE:
            values = self._coordinates(rows, own)
        else:
            number = self.steps if turn is Turn.FIRST_WHOLE else self.step
            first = self.sampler.tokens.first_value(turn)
            allowed = np.stack([self.texts[row].allowed()[first:] for row in rows.tolist()])
            if not (some := allowed.any(axis=1)).all():
                stays[rows[~some]] = False
                rows, own, allowed = rows[some], own[torch.from_numpy(some)], allowed[some]
            values = first + self._draw(turn, rows, own, number, allowed)
        start, first = self.sampler.tokens.places[turn].start, self.sampler.tokens.first_value(turn)
        tokens[rows] = self.sampler.tokens.ids[start - first + values]
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            self.texts[row].push(value)

    def _elements(self, rows: Ints, own: torch.Tensor, logits: torch.Tensor) -> tuple[Ints, Bools]:
        """Draw an element for each text, or the end of the orbits; return which end, too.

        That the orbits end has the probability of all first lengths together, so that at another
        temperature it counts as one choice beside the elements. Which length it is comes after.
        """
        lengths = logits[torch.from_numpy(rows), self.sampler.tokens.places[Turn.FIRST_WHOLE]]
        ends = lengths.float().logsumexp(dim=1, keepdim=True)
        choices = torch.cat([ends, own.float()], dim=1)
        allowed = np.stack([self.texts[row].allowed() for row in rows.tolist()])
        values = self._draw(Turn.ELEMENT, rows, choices, self.step, allowed)
        return values, values == END

    def _coordinates(self, rows: Ints, own: torch.Tensor) -> Ints:
        """Draw a coordinate for each text: draw, look, and draw again where there is no room.

        Leaving out single values one at a time gives the distribution over the values that have
        room, without looking at all of them. With top-p, the most probable values are taken before
        those without room are known.
        """
        values, _ = self._pick(Turn.COORDINATE, rows, own, self.step, None)
        allowed: Bools | None = None
        asked = np.arange(len(rows))
        first_try = self.steps + 1 + _TRIES * self.columns[self._places(rows)]
        self.columns[self._places(rows)] += 1
        for number in range(_TRIES):
            pairs = zip(rows[asked].tolist(), values[asked].tolist(), strict=True)
            clear = [self.texts[row].automaton.clear(np.array([v]))[0] for row, v in pairs]
            asked = asked[~np.array(clear, dtype=np.bool_)]
            if not len(asked):
                break
            if allowed is None:
                allowed = np.ones(own.shape, dtype=np.bool_)
            allowed[asked, values[asked]] = False
            if number == _TRIES - 1:
                for i in asked.tolist():
                    allowed[i] = self.texts[int(rows[i])].automaton.allowed()
            numbers = first_try[asked] + number
            values[asked], _ = self._pick(
                Turn.COORDINATE, rows[asked], own[torch.from_numpy(asked)], numbers, allowed[asked]
            )
        chosen = own.float().log_softmax(dim=1).gather(1, torch.from_numpy(values)[:, None])
        self.log_probability[self._places(rows)] += chosen.squeeze(1)
        return values

    def _places(self, rows: Ints) -> Ints:
        return np.array([self.texts[row].place for row in rows.tolist()], dtype=np.int64)

    def _draw(
        self, turn: Turn, rows: Ints, logits: torch.Tensor, number: int, allowed: Bools
    ) -> Ints:
        values, log_probability = self._pick(turn, rows, logits, number, allowed)
        self.log_probability[self._places(rows)] += log_probability
        return values

    def _pick(
        self,
        turn: Turn,
        rows: Ints,
        logits: torch.Tensor,
        number: int | Ints,
        allowed: Bools | None,
    ) -> tuple[Ints, torch.Tensor]:
        """Draw for these texts with their random numbers of this number."""
        values, log_probability = draw(
            logits,
            self.uniform[self._places(rows), number],
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=self.settings.temperature_of(_KINDS.get(turn, Kind.LENGTH)),
            top_p=self.settings.top_p,
        )
        return values.numpy(), log_probability

    def _go_on(self, tokens: Ints, stays: Bools) -> None:
        """Drop the texts that are finished or crowded, and add a token to the others."""
        if not stays.all():
            for state in self.states:
                order = state.keep(torch.from_numpy(stays))
            self.texts = [self.texts[row] for row in order.tolist()]
            tokens = tokens[order.numpy()]
        if self.texts:
            for state in self.states:
                state.append(torch.from_numpy(tokens))

    def _finish(self, text: _Text) -> None:
        """Take a text that has come to its end, unless it is to be drawn again."""
        ids = self.written_B_T[text.place, : self.step].tolist()
        # Pieces of the small vocabulary that make a field are the text they stand for.
        written = "".join([self.sampler.pieces[i] for i in ids])
        if not self.settles and (
            text.automaton.crowded or is_misdrawn(self.request, written, self.sampler.format)
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
