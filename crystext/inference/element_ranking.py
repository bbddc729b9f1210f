"""How probable each element is where one is not known, read off a model's logits: nothing is drawn.

Serves completions that are one choice among elements. Networks of ordinary size are asked in
float32, many prompts of one length together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.any_tokenizer import GrammarProcessor, TokenTree
from crystext.grammar.completion_token_reader import CompletionSlots
from crystext.grammar.fields import Field, Kind
from crystext.grammar.infilling import InfillingAutomaton, blanks_of
from crystext.grammar.token_reader import speaks_small_vocabulary
from crystext.inference.types import Request
from crystext.models.load import LoadedModel
from crystext.models.network import exact_twin
from crystext.runtime.device import move_to_gpu
from crystext.structures.distances import Bools
from crystext.text import Format
from crystext.text.partial import PartialCrystal
from crystext.tokenization.encode import completion_ids, prompt_ids

_BATCH = 64
"""Prompts that are read together."""


class Choice(NamedTuple):
    """An element that may stand in an unknown place."""

    symbol: str
    log_probability: float
    """In nats, among the elements that can stand there."""


def is_one_choice(partial: PartialCrystal) -> bool:
    """Tell whether a partial crystal is completed by naming one element."""
    first, *others = blanks_of(partial)
    return first.field.kind is Kind.ELEMENT and len(others) == 1


class Ranker:
    """A model, ready to be asked for the probabilities of elements."""

    def __init__(self, model: LoadedModel) -> None:
        """Lay the model out, on a GPU if there is one.

        Raises:
            ModelError: its vocabulary cannot write a crystal, or knows no end.
        """
        self.model, self._network = model, exact_twin(model.network)
        move_to_gpu(self._network)
        self._slots: dict[tuple[Field, ...], CompletionSlots] = {}
        small = speaks_small_vocabulary(model.tokenizer, model.format)
        self._tree = None if small else TokenTree(model.tokenizer)

    def rank(self, requests: Sequence[Request]) -> list[list[Choice]]:
        """Return the elements that can stand in each request's place, the most probable first.

        Raises:
            ModelError: a prompt takes more positions than the model knows.
        """
        prompts = [prompt_ids(self.model.tokenizer, request.prompt) for request in requests]
        allowed = [_allowed(request, self.model.format) for request in requests]
        known = getattr(self._network.config, "max_position_embeddings", None)
        if known is not None and (longest := max(map(len, prompts), default=0)) >= known:
            raise ModelError(
                f"a prompt of {longest} tokens, but the model knows {known} positions; try a "
                "crystal of fewer atoms"
            )
        with torch.inference_mode():
            if self._tree is None:
                logits = self._behind(prompts)
                return [
                    self._by_token(request, row, mask)
                    for request, row, mask in zip(requests, logits, allowed, strict=True)
                ]
            return [
                self._by_text(request, prompt, mask)
                for request, prompt, mask in zip(requests, prompts, allowed, strict=True)
            ]

    def _behind(self, prompts: list[list[int]]) -> list[torch.Tensor]:
        """Return the logits behind each prompt."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            by_length[len(prompt)].append(i)
        found: dict[int, torch.Tensor] = {}
        device = next(self._network.parameters()).device
        for same in by_length.values():
            for start in range(0, len(same), _BATCH):
                batch = same[start : start + _BATCH]
                ids = torch.tensor([prompts[i] for i in batch], device=device)
                logits = self._network(input_ids=ids, logits_to_keep=1).logits[:, -1].float().cpu()
                found.update(zip(batch, logits, strict=True))
        return [found[i] for i in range(len(prompts))]

    def _by_token(self, request: Request, logits: torch.Tensor, allowed: Bools) -> list[Choice]:
        """Read the elements off the logits of their tokens."""
        assert request.partial is not None
        fields = tuple(blank.field for blank in blanks_of(request.partial))
        if fields not in self._slots:
            self._slots[fields] = CompletionSlots(
                self.model.tokenizer, self.model.format, list(fields)
            )
        (ids,) = self._slots[fields].tokens_at(0)
        elements = logits[torch.from_numpy(ids)].masked_fill(~torch.from_numpy(allowed), -torch.inf)
        chances = elements.log_softmax(dim=0).tolist()
        return _in_order([(z, chances[z]) for z in np.flatnonzero(allowed).tolist()])

    def _by_text(self, request: Request, prompt: list[int], allowed: Bools) -> list[Choice]:
        """Score each element's text, its end included, token by token under the grammar."""
        assert request.partial is not None
        assert self._tree is not None
        tokenizer, end = self.model.tokenizer, self._tree.end
        automaton = InfillingAutomaton(self.model.format, 1, request.partial, request.constraints)
        processor = GrammarProcessor(tokenizer, len(prompt), automaton, self._tree)
        numbers = np.flatnonzero(allowed).tolist()
        texts = [[*completion_ids(tokenizer, SYMBOLS[z - 1]), end] for z in numbers]
        width = max(map(len, texts))
        # Behind its end a text goes on with more ends, of which none counts.
        ids = torch.tensor([text + [end] * (width - len(text)) for text in texts])
        scores = torch.zeros(len(texts), dtype=torch.float64)
        device = next(self._network.parameters()).device
        for start in range(0, len(texts), _BATCH):
            rows = slice(start, min(start + _BATCH, len(texts)))
            whole = torch.cat([torch.tensor([prompt] * (rows.stop - start)), ids[rows]], dim=1)
            output = self._network(input_ids=whole.to(device), logits_to_keep=width + 1)
            logits = output.logits[:, :-1, : len(tokenizer)].float().cpu()
            for step in range(width):
                mask = processor.mask(ids[rows, :step], len(tokenizer))
                chances = logits[:, step].masked_fill(~mask, -torch.inf).log_softmax(dim=1)
                scores[rows] += chances.gather(1, ids[rows, step, None]).squeeze(1).double()
        return _in_order(list(zip(numbers, scores.tolist(), strict=True)))


def _allowed(request: Request, fmt: Format) -> Bools:
    assert request.partial is not None
    assert is_one_choice(request.partial)
    allowed: Bools = InfillingAutomaton(fmt, 1, request.partial, request.constraints).allowed()
    return np.asarray(allowed[0])


def _in_order(found: list[tuple[int, float]]) -> list[Choice]:
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return [Choice(SYMBOLS[z - 1], chance) for z, chance in found]
