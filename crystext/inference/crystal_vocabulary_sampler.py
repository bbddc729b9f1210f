"""Samples texts under a grammar, a batch at a time, from a model with the crystal vocabulary.

`BatchSampler` is one engine for all formats of that vocabulary. It steps the network, after two
prompts if guidance is on, keeps the random numbers and the log-probability of each text, removes
finished texts, and restarts those that a format does not accept. A format provides a `Vocabulary`,
its token ids in a model, and a `TokenReader`: which tokens its texts can take next, and what they
mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from crystext.grammar.fields import FieldKind
from crystext.inference.categorical import draw_categorical, uniform_numbers
from crystext.inference.cpu_llama import CpuLlama, KVBatch
from crystext.inference.guidance import mix_logits, weighted_prompts
from crystext.inference.request_grammar import MAX_RESTARTS
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format
from crystext.tokenization.encode import prompt_ids

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel

_REDRAWS = 8
"""How often a coordinate without room is sampled again before all values are checked."""


class Step(NamedTuple):
    """The next token of each text of a batch."""

    tokens: Ints
    """Token ids, shape (texts,)."""
    ended: Bools
    """Texts that end with this token."""
    abandoned: Bools | None = None
    """Texts that cannot be finished, and restart; None if all can."""


class TokenReader(Protocol):
    """The texts of one batch in one format: their allowed next tokens, and what these mean."""

    max_tokens: int
    """Maximum number of tokens of a text."""
    extra_draws: int
    """Random numbers per text beyond one per token; `draw` takes them by number."""
    max_redrawn_fields: int
    """Most fields of a text that `TextBatch.draw_free_coordinate` samples."""

    def choose(self, batch: TextBatch) -> Step:
        """Sample the next token of each text."""

    def take(self, rows: Ints | None) -> None:
        """Take the chosen tokens.

        Args:
            rows: the texts that continue, by their former rows; None is all.
        """

    def accepts(self, row: int, text: str) -> bool:
        """Return whether a finished text is a sample; otherwise it restarts."""


class Vocabulary(Protocol):
    """The token ids of one format in one tokenizer.

    To add one: a class like this, constructed from a model and a format, and one line in
    `generate.VOCABULARIES`; or, from another distribution, an entry point of the group
    `crystext.vocabularies`.
    """

    @staticmethod
    def fits(model: LoadedModel | SamplingModel, fmt: Format) -> bool:
        """Return whether a model writes this format in these tokens."""

    def start(self, request: Request, count: int, *, final: bool) -> TokenReader:
        """Return a reader of new texts.

        Args:
            request: prompt and constraints of the texts.
            count: number of texts.
            final: whether texts that are not accepted can no longer restart.

        Raises:
            SettingError: no text can satisfy the request.
        """


class BatchSampler:
    """A model with the crystal vocabulary, ready to sample texts of one format."""

    def __init__(
        self, model: LoadedModel | SamplingModel, settings: SamplingSettings, vocabulary: Vocabulary
    ) -> None:
        """Prepare the model for sampling.

        Raises:
            ModelError: it is not a plain LLaMA.
        """
        self.settings, self.tokenizer, self.vocabulary = settings, model.tokenizer, vocabulary
        self.pieces = {i: piece for piece, i in model.tokenizer.get_vocab().items()}
        self.llama = CpuLlama(model.network, torch.bfloat16)

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Sample one text for each index.

        A text depends on the seed, its index and how often it was sampled before, and on the rest
        of the batch through rounding.

        Raises:
            ModelError: the texts could exceed the model's number of positions.
            SettingError: no text can satisfy the request.
        """
        done: dict[int, Attempt] = {}
        left = list(indices)
        with torch.inference_mode():
            for restart in range(MAX_RESTARTS):
                final = restart + 1 == MAX_RESTARTS
                reader = self.vocabulary.start(request, len(left), final=final)
                done |= TextBatch(self, reader, request, left, redraw, restart).run()
                left = [index for index in left if index not in done]
                if not left:
                    break
        return [done[index] for index in indices]


class TextBatch:
    """The state of one batch while it is sampled. Row i is text `places[i]` of the batch."""

    def __init__(
        self,
        sampler: BatchSampler,
        reader: TokenReader,
        request: Request,
        indices: Sequence[int],
        redraw: int,
        restart: int,
    ) -> None:
        settings, count = sampler.settings, len(indices)
        self._sampler, self._reader, self._indices = sampler, reader, indices
        self._prompts = weighted_prompts(request, settings.guidance)
        self._states = [self._read_prompt(each.prompt) for each in self._prompts]
        """The same texts in the network, after each prompt."""
        self.extra_draw = reader.max_tokens
        """Number of the first of the reader's extra random numbers."""
        self._first_redraw = reader.max_tokens + reader.extra_draws
        numbers = self._first_redraw + _REDRAWS * reader.max_redrawn_fields
        uniform = uniform_numbers(settings.seed, indices, numbers, redraw=redraw, restart=restart)
        self._uniform = torch.from_numpy(uniform)
        self._redrawn_fields: Ints = np.zeros(count, dtype=np.int64)
        self._log_probability = torch.zeros(count, dtype=torch.float64)
        self._written_B_T: Ints = np.zeros((count, reader.max_tokens), dtype=np.int64)
        """Token ids of the texts, in the order of the batch."""
        self._places: Ints = np.arange(count)
        self._step = 0

    def __len__(self) -> int:
        return len(self._places)

    def _read_prompt(self, prompt: str) -> KVBatch:
        ids = torch.tensor(prompt_ids(self._sampler.tokenizer, prompt))
        return KVBatch(
            self._sampler.llama, ids, len(self._indices), len(ids) + self._reader.max_tokens
        )

    def run(self) -> dict[int, Attempt]:
        """Return the texts that the reader accepts, by index."""
        done: dict[int, Attempt] = {}
        while len(self):
            tokens, ended, abandoned = self._reader.choose(self)
            self._written_B_T[self._places, self._step] = tokens
            self._step += 1
            for row in np.flatnonzero(ended).tolist():
                attempt = self._attempt(int(self._places[row]))
                if self._reader.accepts(row, attempt.text):
                    done[attempt.index] = attempt
            self._advance(tokens, ~ended if abandoned is None else ~(ended | abandoned))
        return done

    def _attempt(self, place: int) -> Attempt:
        """Return a finished text, whether or not its end token is written."""
        ids = self._written_B_T[place, : self._step].tolist()
        if ids[-1] == self._sampler.tokenizer.eos_token_id:
            ids.pop()
        return Attempt(
            index=self._indices[place],
            # The pieces of a field in the crystal vocabulary are the text itself.
            text="".join([self._sampler.pieces[i] for i in ids]),
            failure=None,
            log_probability=round(float(self._log_probability[place]), 4),
            tokens=len(ids) + 1,
        )

    def _advance(self, tokens: Ints, stays: Bools) -> None:
        """Drop the texts that do not continue, and add a token to the others."""
        rows: Ints | None = None
        if not stays.all():
            for state in self._states:
                rows = state.keep(torch.from_numpy(stays)).numpy()
            self._places, tokens = self._places[rows], tokens[rows]
            if not len(self):
                return
        self._reader.take(rows)
        for state in self._states:
            state.append(torch.from_numpy(tokens))

    def logits(self, ids: Ints, *, row_step: int = 1) -> torch.Tensor:
        """Return the logits of these token ids after each text: shape (texts, ids).

        Args:
            ids: token ids.
            row_step: pad the number of texts to a multiple of this: kernels are compiled, and
                kept, for every new shape.
        """
        tokens, rows = torch.from_numpy(ids), len(self)
        behind = []
        for state in self._states:
            hidden = state.hidden_B_D
            if fill := -rows % row_step:
                hidden = torch.nn.functional.pad(hidden, (0, 0, 0, fill))
            behind.append(self._sampler.llama.logits(hidden, tokens)[:rows])
        return mix_logits(behind, self._prompts)

    def draw(
        self,
        kind: FieldKind,
        logits: torch.Tensor,
        allowed: Bools | None,
        *,
        rows: Ints | slice = slice(None),
        number: int | None = None,
    ) -> Ints:
        """Sample one of several values for each of these texts, and add its log-probability.

        Args:
            kind: of the field that the values belong to; it determines the temperature.
            logits: of the values, shape (rows, values).
            allowed: which values may be sampled; None allows all.
            rows: texts; all by default.
            number: which random number of each text is used; None is that of the token.
        """
        places = self._places[rows]
        number = self._step if number is None else number
        values, log_probability = self._pick(kind, logits, allowed, places, number)
        self._log_probability[places] += log_probability
        return values

    def draw_free_coordinate(
        self,
        logits: torch.Tensor,
        is_free: Callable[[Ints, Ints], Bools],
        free_values: Callable[[int], Bools],
        *,
        rows: Ints | slice = slice(None),
    ) -> Ints:
        """Sample a coordinate that leaves room for the atom, by rejection.

        Excluding single values one at a time gives the distribution over the values that have
        room, without checking all of them. With top-p, the most probable values are taken before
        those without room are known.

        Args:
            logits: of the values, shape (rows, values).
            is_free: returns whether one value each leaves room, for several of these rows, given by
                their indices.
            free_values: returns which values of one of these rows leave room.
            rows: texts; all by default.
        """
        kind, places = FieldKind.COORDINATE, self._places[rows]
        values, _ = self._pick(kind, logits, None, places, self._step)
        first = self._first_redraw + _REDRAWS * self._redrawn_fields[places]
        self._redrawn_fields[places] += 1
        allowed: Bools | None = None
        left: Ints = np.arange(len(places))
        for redraw in range(_REDRAWS):
            left = left[~is_free(values[left], left)]
            if not len(left):
                break
            if allowed is None:
                allowed = np.ones(logits.shape, dtype=np.bool_)
            allowed[left, values[left]] = False
            if redraw == _REDRAWS - 1:
                for i in left.tolist():
                    allowed[i] = free_values(i)
            values[left], _ = self._pick(
                kind,
                logits[torch.from_numpy(left)],
                allowed[left],
                places[left],
                first[left] + redraw,
            )
        chosen = logits.float().log_softmax(dim=1).gather(1, torch.from_numpy(values)[:, None])
        self._log_probability[places] += chosen.squeeze(1)
        return values

    def _pick(
        self,
        kind: FieldKind,
        logits: torch.Tensor,
        allowed: Bools | None,
        text_indices: Ints,
        number: int | Ints,
    ) -> tuple[Ints, torch.Tensor]:
        """Sample for texts of the batch, each with its random number of this index."""
        settings = self._sampler.settings
        values, log_probability = draw_categorical(
            logits,
            self._uniform[text_indices, number],
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=settings.temperature_of(kind),
            top_p=settings.top_p,
        )
        return values.numpy(), log_probability
