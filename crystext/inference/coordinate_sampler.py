"""Draws crystals from a model of the small vocabulary, a batch at a time, under the automaton."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crystext.grammar.completion_token_reader import CompletionTokenReader
from crystext.grammar.fields import END, FieldKind
from crystext.grammar.infilling import InfillingAutomaton
from crystext.grammar.token_reader import (
    DECIMALS,
    CoordinateTokenReader,
    allowed_decimals,
    allowed_whole_parts,
)
from crystext.inference.categorical import draw_categorical, uniform_numbers
from crystext.inference.fast_llama import FastLlama, KVBatch
from crystext.inference.guidance import mix_logits, weighted_prompts
from crystext.inference.request_grammar import automaton_for
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.tokenization.encode import prompt_ids

_Y_REDRAWS = 8
"""How often a y that leaves no place for the atom is drawn again before all y are looked at."""


class CoordinateSampler:
    """A model of the small vocabulary, ready to draw."""

    def __init__(self, model: LoadedModel, settings: SamplingSettings) -> None:
        """Lay the model out for drawing.

        Raises:
            ModelError: it has another vocabulary, or is no plain LLaMA.
        """
        self.settings, self.format, self.tokenizer = settings, model.format, model.tokenizer
        self.token_reader = CoordinateTokenReader(model.tokenizer)
        self.pieces = {i: piece for piece, i in model.tokenizer.get_vocab().items()}
        self.llama = FastLlama(model.network, torch.bfloat16)

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Draw one text for each index.

        A text depends on the seed, its index and how often it was drawn before, and on the rest of
        the batch through rounding.

        Raises:
            ModelError: the texts could be longer than the model knows positions for.
        """
        with torch.inference_mode():
            return _CoordinateBatch(self, request, indices, redraw).run()


class _CoordinateBatch:
    """The state of one batch while it is drawn. Row i is crystal `rows[i]` of the batch."""

    def __init__(
        self, sampler: CoordinateSampler, request: Request, indices: Sequence[int], redraw: int
    ) -> None:
        settings, constraints = sampler.settings, request.constraints
        self.settings, self.sampler, self.indices = settings, sampler, indices
        self.automaton = automaton_for(request, sampler.format, len(indices))
        self.token_reader: CoordinateTokenReader | CompletionTokenReader = sampler.token_reader
        # Two tokens for each number of the cell, four for each atom, and the end.
        self.steps, columns = 12 + 4 * constraints.max_atoms + 1, constraints.max_atoms
        if isinstance(self.automaton, InfillingAutomaton):
            fields = [blank.field for blank in self.automaton.fields]
            self.token_reader = CompletionTokenReader(sampler.tokenizer, sampler.format, fields)
            self.steps = self.token_reader.max_tokens
            columns = sum(
                field.kind is FieldKind.COORDINATE and field.axis == 1 for field in fields
            )
        self.prompts = weighted_prompts(request, settings.guidance)
        self.texts = [self._start_texts(asked.prompt) for asked in self.prompts]
        """The same texts, behind each prompt."""
        count = self.steps + _Y_REDRAWS * columns
        numbers = uniform_numbers(settings.seed, indices, count, redraw=redraw)
        self.uniform = torch.from_numpy(numbers)
        self.rows = torch.arange(len(indices))
        self.step = self.columns = 0
        self.written_B_T = np.zeros((len(indices), self.steps), dtype=np.int64)
        """Token ids of the texts, in the order of the batch."""
        self.log_probability = torch.zeros(len(indices), dtype=torch.float64)
        self.done: dict[int, Attempt] = {}

    def _start_texts(self, prompt: str) -> KVBatch:
        ids = torch.tensor(prompt_ids(self.sampler.tokenizer, prompt))
        return KVBatch(self.sampler.llama, ids, len(self.indices), len(ids) + self.steps)

    def run(self) -> list[Attempt]:
        while len(self.automaton):
            kind = self.automaton.field.kind
            for token in self.token_reader.forced_tokens(self.automaton.field_index):
                self._append(np.array([token]), np.zeros(len(self.automaton), dtype=np.int64))
            if kind is FieldKind.ELEMENT:
                self._draw_element()
            elif kind is FieldKind.COORDINATE:
                self._draw_coordinate()
            else:
                self._draw_number()
        return [self.done[i] for i in range(len(self.indices))]

    def _draw_number(self) -> None:
        allowed = self.automaton.allowed()
        whole_ids, decimal_ids = self.token_reader.tokens_at(self.automaton.field_index)
        wholes = self._draw(whole_ids, allowed_whole_parts(allowed))
        self._append(whole_ids, wholes)
        decimals = self._draw(decimal_ids, allowed_decimals(allowed, wholes))
        self.automaton.push(wholes * DECIMALS + decimals)
        self._append(decimal_ids, decimals)

    def _draw_element(self) -> None:
        (ids,) = self.token_reader.tokens_at(self.automaton.field_index)
        values = self._draw(ids, self.automaton.allowed()[:, : len(ids)])
        ends = values == END
        if ends.any():
            for row in np.nonzero(ends)[0].tolist():
                self._finish(row)
            for texts in self.texts:
                order = texts.keep(torch.from_numpy(~ends))
            self.rows, values = self.rows[order], values[order.numpy()]
            self.automaton.keep(order.numpy())
            if not len(self.automaton):
                return
        self.automaton.push(values)
        self._append(ids, values)

    def _draw_coordinate(self) -> None:
        automaton = self.automaton
        (ids,) = self.token_reader.tokens_at(automaton.field_index)
        if (
            automaton.field.axis == 1
            and automaton.min_distance_ratio > 0
            and not automaton.is_given
        ):
            values = self._draw_y(ids)
        else:
            values = self._draw(ids, automaton.allowed())
        self.automaton.push(values)
        self._append(ids, values)

    def _draw_y(self, ids: Ints) -> Ints:
        """Draw a y that leaves some z: draw, look, and draw again where it does not.

        Leaving out single values one at a time gives the distribution over the values that have
        room, without looking at all of them. With top-p, the most probable values are taken before
        those without room are known.
        """
        logits = self._logits(ids)
        values, _ = self._pick(logits, None, slice(None), self.step)
        asked = np.arange(len(values))
        allowed: Bools | None = None
        first_try = self.steps + _Y_REDRAWS * self.columns
        self.columns += 1
        for number in range(first_try, first_try + _Y_REDRAWS):
            asked = asked[~self.automaton.has_room(values[asked], asked)]
            if not len(asked):
                break
            if allowed is None:
                allowed = np.ones(logits.shape, dtype=np.bool_)
            allowed[asked, values[asked]] = False
            if number == first_try + _Y_REDRAWS - 1:
                for row in asked.tolist():
                    allowed[row] = self.automaton.y_with_room(row)
            values[asked], _ = self._pick(logits[asked], allowed[asked], asked, number)
        chosen = logits.float().log_softmax(dim=1).gather(1, torch.from_numpy(values)[:, None])
        self.log_probability[self.rows] += chosen.squeeze(1)
        return values

    def _logits(self, ids: Ints) -> torch.Tensor:
        tokens = torch.from_numpy(ids)
        behind = [self.sampler.llama.logits(texts.hidden_B_D, tokens) for texts in self.texts]
        return mix_logits(behind, self.prompts)

    def _pick(
        self, logits: torch.Tensor, allowed: Bools | None, rows: Ints | slice, number: int
    ) -> tuple[Ints, torch.Tensor]:
        """Draw for these rows with their random numbers of this number."""
        values, log_probability = draw_categorical(
            logits,
            self.uniform[self.rows[rows], number],
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=self.settings.temperature_of(self.automaton.field.kind),
            top_p=self.settings.top_p,
        )
        return values.numpy(), log_probability

    def _draw(self, ids: Ints, allowed: Bools | None) -> Ints:
        values, log_probability = self._pick(self._logits(ids), allowed, slice(None), self.step)
        self.log_probability[self.rows] += log_probability
        return values

    def _append(self, ids: Ints, values: Ints) -> None:
        tokens = ids[values]
        self.written_B_T[self.rows.numpy(), self.step] = tokens
        for texts in self.texts:
            texts.append(torch.from_numpy(tokens))
        self.step += 1

    def _finish(self, row: int) -> None:
        place = int(self.rows[row])
        written = self.written_B_T[place, : self.step].tolist()
        self.done[place] = Attempt(
            index=self.indices[place],
            # Pieces of the small vocabulary that make a field are the text they stand for.
            text="".join([self.sampler.pieces[i] for i in written]),
            fault=None,
            log_probability=round(float(self.log_probability[place]), 4),
            tokens=self.step + 1,
        )
