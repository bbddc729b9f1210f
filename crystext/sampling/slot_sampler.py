"""Draws crystals from a model of the small vocabulary, a batch at a time, under the automaton."""

from __future__ import annotations

import numpy as np
import torch

from crystext.codec import encode
from crystext.crystal import Crystal, Ints
from crystext.grammar.automaton import Automaton
from crystext.grammar.fields import END, Kind
from crystext.grammar.slots import DECIMALS, Slots, decimals_after, whole_parts
from crystext.model import LoadedModel
from crystext.sampling.attempt import Attempt, DrawSettings
from crystext.sampling.draw import draw, uniform_numbers
from crystext.sampling.llama import ShortTextLlama, Texts
from crystext.tokens import prompt_ids

_Y_TRIES = 8
"""How often a y that leaves no place for the atom is drawn again before all y are looked at."""


class SlotSampler:
    """A model of the small vocabulary, ready to draw."""

    def __init__(self, model: LoadedModel, settings: DrawSettings) -> None:
        self.settings, self.format, self.tokenizer = settings, model.format, model.tokenizer
        self.slots = Slots(model.tokenizer)
        self.llama = ShortTextLlama(model.network.to(torch.bfloat16))

    def draw(self, prompt: str, indices: range) -> list[Attempt]:
        """Draw one text for each index. What is drawn depends on the seed and the index, and on
        the other rows of the batch only through rounding."""
        with torch.inference_mode():
            return _Batch(self, prompt, indices).run()


class _Batch:
    """The state of one batch while it is drawn. Row i is crystal `rows[i]` of the batch."""

    def __init__(self, sampler: SlotSampler, prompt: str, indices: range) -> None:
        settings = sampler.settings
        self.settings, self.sampler, self.indices = settings, sampler, indices
        ids = torch.tensor(prompt_ids(sampler.tokenizer, prompt))
        self.steps = 12 + 4 * settings.max_atoms + 1
        count = self.steps + _Y_TRIES * settings.max_atoms
        self.uniform = torch.from_numpy(uniform_numbers(settings.seed, indices, count))
        self.texts = Texts(sampler.llama, ids, len(indices), len(ids) + self.steps)
        self.automaton = Automaton(
            sampler.format,
            len(indices),
            max_atoms=settings.max_atoms,
            distance_scale=settings.distance_scale,
            exclude=settings.exclude,
        )
        self.rows = torch.arange(len(indices))
        self.step = 0
        self.log_probability = torch.zeros(len(indices), dtype=torch.float64)
        self.done: dict[int, Attempt] = {}

    def run(self) -> list[Attempt]:
        while len(self.automaton):
            kind = self.automaton.field.kind
            if kind is Kind.ELEMENT:
                self._element()
            elif kind is Kind.COORDINATE:
                self._coordinate()
            else:
                self._number()
        return [self.done[i] for i in range(len(self.indices))]

    def _number(self) -> None:
        allowed = self.automaton.allowed()
        whole_ids, decimal_ids = self.sampler.slots.tokens(self.automaton.field)
        wholes = self._draw(whole_ids, whole_parts(allowed))
        self._append(whole_ids, wholes)
        decimals = self._draw(decimal_ids, decimals_after(allowed, wholes))
        self.automaton.push(wholes * DECIMALS + decimals)
        self._append(decimal_ids, decimals)

    def _element(self) -> None:
        (ids,) = self.sampler.slots.tokens(self.automaton.field)
        values = self._draw(ids, self.automaton.allowed())
        ends = values == END
        if ends.any():
            for row in np.nonzero(ends)[0].tolist():
                self._finish(row)
            stay = ~ends
            order = self.texts.keep(torch.from_numpy(stay)).numpy()
            self.rows, values = self.rows[order], values[order]
            self.automaton.keep(order)
            if not len(self.automaton):
                return
        self.automaton.push(values)
        self._append(ids, values)

    def _coordinate(self) -> None:
        field = self.automaton.field
        (ids,) = self.sampler.slots.tokens(field)
        values = self._y(ids) if field.axis == 1 else self._draw(ids, self.automaton.allowed())
        self.automaton.push(values)
        self._append(ids, values)

    def _y(self, ids: Ints) -> Ints:
        """Draw a y that leaves some z: draw, look, and draw again where it does not.

        Rejecting single values one at a time gives the distribution over the values that have room.
        """
        if self.settings.distance_scale == 0:
            return self._draw(ids, None)
        logits = self._logits(ids)
        allowed = np.ones(logits.shape, dtype=np.bool_)
        values, log_probability = self._pick(logits, None, self.step)
        atom = self.automaton.atoms - 1
        for attempt in range(_Y_TRIES):
            refused = np.nonzero(~self.automaton.has_room(values))[0]
            if not len(refused):
                break
            allowed[refused, values[refused]] = False
            if attempt == _Y_TRIES - 1:
                for row in refused.tolist():
                    allowed[row] = self.automaton.rows_with_room(row)
            again = self.steps + _Y_TRIES * atom + attempt
            picked, chance = self._pick(logits, allowed, again)
            values[refused] = picked[refused]
            log_probability[refused] = chance[refused]
        self.log_probability[self.rows] += log_probability
        return values

    def _logits(self, ids: Ints) -> torch.Tensor:
        return self.sampler.llama.logits(self.texts.hidden_B_D, torch.from_numpy(ids))

    def _pick(
        self, logits: torch.Tensor, allowed: np.ndarray | None, number: int
    ) -> tuple[Ints, torch.Tensor]:
        values, log_probability = draw(
            logits,
            self.uniform[self.rows, number],
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=self.settings.temperature,
            top_p=self.settings.top_p,
        )
        return values.numpy(), log_probability

    def _draw(self, ids: Ints, allowed: np.ndarray | None) -> Ints:
        values, log_probability = self._pick(self._logits(ids), allowed, self.step)
        self.log_probability[self.rows] += log_probability
        return values

    def _append(self, ids: Ints, values: Ints) -> None:
        self.texts.append(torch.from_numpy(ids[values]))
        self.step += 1

    def _finish(self, row: int) -> None:
        place = int(self.rows[row])
        crystal: Crystal = self.automaton.crystal(row)
        self.done[place] = Attempt(
            index=self.indices[place],
            text=encode(crystal, self.sampler.format),
            fault=None,
            log_probability=round(float(self.log_probability[place]), 4),
            tokens=self.step + 1,
        )
