"""A batch of texts that grow together, a token at a time, from one request.

What a text format has to bring is here, too: a `Vocabulary` and a `TokenReader`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from crystext.grammar.fields import FieldKind
from crystext.inference.categorical import draw_categorical, uniform_numbers
from crystext.inference.guidance import mix_logits, weighted_prompts
from crystext.inference.kv_batch import KVBatch
from crystext.inference.request_grammar import MAX_RESTARTS
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools
from crystext.text import Format
from crystext.tokenization.encode import prompt_ids

if TYPE_CHECKING:
    from crystext.inference.cpu_llama import CpuLlama
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel
    from crystext.tokenization.encode import AnyTokenizer

_MAX_TEXTS = 512
"""Most texts that grow together if others can begin later: with more, a text costs no less."""

_REFILL, _WORTHWHILE = 32, 0.25
"""Fewest texts that begin together while others grow, as a number or as a proportion of these: each
beginning has a cost of its own."""

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


@runtime_checkable
class GrowingVocabulary(Protocol):
    """A `Vocabulary` whose readers take more texts while others grow.

    The texts of such a reader can be at different tokens. So others take the places of finished
    ones, and no step is taken for a few texts.
    """

    def add(self, reader: Any, count: int, *, final: bool) -> None:
        """Begin more texts of a reader; they come after the others. Arguments as of `start`."""


class TokenSampler(Protocol):
    """What a batch takes from `crystal_vocabulary_sampler.BatchSampler`."""

    settings: SamplingSettings
    tokenizer: AnyTokenizer
    vocabulary: Vocabulary
    pieces: dict[int, str]
    """The text of each token id."""
    llama: CpuLlama


class WaitingText(NamedTuple):
    """A text that is to be sampled."""

    sample: int
    """Index of the sample."""
    restart: int = 0
    """How often its text was not accepted before."""

    @property
    def final(self) -> bool:
        """Whether it can no longer restart."""
        return self.restart + 1 == MAX_RESTARTS


_NO_TEXT = WaitingText(-1)


class TextBatch:
    """The state of one batch while it is sampled.

    Row i holds the text of slot `_slots[i]`, where its numbers are until it ends.
    """

    def __init__(self, sampler: TokenSampler, request: Request, redraw: int) -> None:
        self._sampler, self._request, self._redraw = sampler, request, redraw
        self._prompts = weighted_prompts(request, sampler.settings.guidance)
        self._grows = isinstance(sampler.vocabulary, GrowingVocabulary)
        self._reader: TokenReader | None = None
        self._states: list[KVBatch]
        """The same texts in the network, after each prompt."""
        self._slots: Ints = np.zeros(0, dtype=np.int64)
        self._free_slots: list[int] = []
        self._texts: list[WaitingText] = []
        self._uniform: Floats
        self._log_probability: Floats
        self._redrawn_fields: Ints
        self._written: Ints
        """Token ids of the texts: shape (slots, tokens)."""
        self._steps: Ints
        """Number of tokens of each text."""
        self.extra_draw: int
        """Number of the first of the reader's extra random numbers."""

    def __len__(self) -> int:
        return len(self._slots)

    def takes_more(self, waiting: int) -> bool:
        """Return whether more than the waiting texts can begin."""
        return waiting + (len(self) if self._grows else 0) < _MAX_TEXTS

    def step(self, waiting: deque[WaitingText], done: dict[int, Attempt]) -> None:
        """Begin texts that wait, and add a token to all; `done` receives the accepted ones.

        Those that are not accepted wait again, before the others.
        """
        if texts := self._next_texts(waiting):
            self._begin(texts)
        if self._reader is None or not len(self):
            return
        tokens, ended, abandoned = self._reader.choose(self)
        self._written[self._slots, self._steps[self._slots]] = tokens
        self._steps[self._slots] += 1
        leaves = ended if abandoned is None else ended | abandoned
        for row in np.flatnonzero(leaves).tolist():
            slot = int(self._slots[row])
            text = self._texts[slot]
            if ended[row]:
                attempt = self._attempt(slot)
                if self._reader.accepts(row, attempt.text):
                    done[text.sample] = attempt
                    continue
            waiting.appendleft(text._replace(restart=text.restart + 1))
        self._advance(tokens, ~leaves)

    def _next_texts(self, waiting: deque[WaitingText]) -> list[WaitingText]:
        """Take the texts that begin now from those that wait: all of them final, or none."""
        if len(self) and not self._grows:
            return []
        count = min(len(waiting), _MAX_TEXTS - len(self))
        if count < min(_REFILL, _WORTHWHILE * len(self)):
            return []
        texts: list[WaitingText] = []
        while len(texts) < count and waiting[0].final == (texts or waiting)[0].final:
            texts.append(waiting.popleft())
        return texts

    def _begin(self, texts: list[WaitingText]) -> None:
        """Begin texts; they come after the others."""
        count, final, vocabulary = len(texts), texts[0].final, self._sampler.vocabulary
        if self._reader is None or not isinstance(vocabulary, GrowingVocabulary):
            self._reader = vocabulary.start(self._request, count, final=final)
            self._start_empty()
        else:
            vocabulary.add(self._reader, count, final=final)
        for state in self._states:
            state.add(count)
        self._reserve(self._reader, count)
        slots = [self._free_slots.pop() for _ in texts]
        for slot, text in zip(slots, texts, strict=True):
            self._texts[slot] = text
        self._slots = np.append(self._slots, slots)
        uniform = uniform_numbers(
            self._sampler.settings.seed,
            [text.sample for text in texts],
            self._uniform.shape[1],
            redraw=self._redraw,
            restart=[text.restart for text in texts],
        )
        self._uniform[slots] = uniform
        self._log_probability[slots] = 0.0
        self._steps[slots] = self._redrawn_fields[slots] = 0

    def _reserve(self, reader: TokenReader, count: int) -> None:
        """Make new slots, if so many are not free."""
        before, more = len(self._texts), count - len(self._free_slots)
        if more <= 0:
            return
        self._free_slots += range(before, before + more)
        self._texts += [_NO_TEXT] * more
        for name in ("_uniform", "_log_probability", "_redrawn_fields", "_written", "_steps"):
            numbers = getattr(self, name)
            setattr(self, name, np.pad(numbers, ((0, more), (0, 0))[: numbers.ndim]))

    def _start_empty(self) -> None:
        """Read the prompts, and keep the numbers of no text."""
        reader, sampler = self._reader, self._sampler
        assert reader is not None, "the reader knows how long texts are"
        self._states, self._texts, self._free_slots = [], [], []
        for each in self._prompts:
            ids = torch.tensor(prompt_ids(sampler.tokenizer, each.prompt))
            self._states.append(KVBatch(sampler.llama, ids, 0, len(ids) + reader.max_tokens))
        self.extra_draw = reader.max_tokens
        self._first_redraw = reader.max_tokens + reader.extra_draws
        numbers = self._first_redraw + _REDRAWS * reader.max_redrawn_fields
        self._uniform, self._log_probability = np.zeros((0, numbers)), np.zeros(0)
        self._redrawn_fields = np.zeros(0, dtype=np.int64)
        self._written = np.zeros((0, reader.max_tokens), dtype=np.int64)
        self._steps = np.zeros(0, dtype=np.int64)

    def _attempt(self, index: int) -> Attempt:
        """Return a finished text, with or without its end token."""
        ids = self._written[index, : self._steps[index]].tolist()
        if ids[-1] == self._sampler.tokenizer.eos_token_id:
            ids.pop()
        return Attempt(
            index=self._texts[index].sample,
            # The pieces of a field in the crystal vocabulary are the text itself.
            text="".join([self._sampler.pieces[i] for i in ids]),
            failure=None,
            log_probability=round(float(self._log_probability[index]), 4),
            tokens=len(ids) + 1,
        )

    def _advance(self, tokens: Ints, stays: Bools) -> None:
        """Drop the texts that do not continue, and add a token to the others."""
        assert self._reader is not None, "texts have begun"
        rows: Ints | None = None
        if not stays.all():
            for state in self._states:
                rows = state.keep(torch.from_numpy(stays)).numpy()
            self._free_slots += self._slots[~stays].tolist()
            self._slots, tokens = self._slots[rows], tokens[rows]
        # Without a text, a reader that takes no others is done, and may have no next field.
        if len(self) or self._grows:
            self._reader.take(rows)
        if len(self):
            for state in self._states:
                state.append(torch.from_numpy(tokens))

    def logits(self, ids: Ints, *, rows: Ints | None = None, row_step: int = 1) -> torch.Tensor:
        """Return the logits of these token ids after each text: shape (texts, ids).

        Args:
            ids: token ids, in an array that stays as it is: its part of the head is kept.
            rows: texts; all by default.
            row_step: pad the number of texts to a multiple of this: kernels are compiled, and
                kept, for every new shape.
        """
        behind = []
        for state in self._states:
            hidden = state.hidden_B_D if rows is None else state.hidden_B_D[torch.from_numpy(rows)]
            count = len(hidden)
            if fill := -count % row_step:
                hidden = torch.nn.functional.pad(hidden, (0, 0, 0, fill))
            behind.append(self._sampler.llama.logits(hidden, ids)[:count])
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
        slots = self._slots[rows]
        numbers = self._steps[slots] if number is None else number
        values, log_probability = self._pick(kind, logits, allowed, slots, numbers)
        self._log_probability[slots] += log_probability.numpy()
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

        Excluding single values one at a time gives the distribution over those that have room. With
        top-p, the most probable values are taken before those without room are known.

        Args:
            logits: of the values, shape (rows, values).
            is_free: returns whether one value each leaves room, for rows given by their indices.
            free_values: returns which values of one of these rows leave room.
            rows: texts; all by default.
        """
        kind, slots = FieldKind.COORDINATE, self._slots[rows]
        values, _ = self._pick(kind, logits, None, slots, self._steps[slots])
        first = self._first_redraw + _REDRAWS * self._redrawn_fields[slots]
        self._redrawn_fields[slots] += 1
        allowed: Bools | None = None
        left: Ints = np.arange(len(slots))
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
                slots[left],
                first[left] + redraw,
            )
        chosen = logits.float().log_softmax(dim=1).gather(1, torch.from_numpy(values)[:, None])
        self._log_probability[slots] += chosen.squeeze(1).numpy()
        return values

    def _pick(
        self,
        kind: FieldKind,
        logits: torch.Tensor,
        allowed: Bools | None,
        text_indices: Ints,
        number: int | Ints,
    ) -> tuple[Ints, torch.Tensor]:
        """Sample for these texts, each with its random number of this index."""
        settings = self._sampler.settings
        values, log_probability = draw_categorical(
            logits,
            torch.from_numpy(self._uniform[text_indices, number]),
            allowed_B_V=None if allowed is None else torch.from_numpy(allowed),
            temperature=settings.temperature_of(kind),
            top_p=settings.top_p,
        )
        return values.numpy(), log_probability
