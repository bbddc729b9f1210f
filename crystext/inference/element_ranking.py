"""Ranks elements for an unknown site by their probability in a model's logits, without sampling.

For completions that are a single choice among elements. Networks of ordinary size run in float32,
with prompts of equal length batched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.any_tokenizer import GrammarProcessor, TokenTrie
from crystext.grammar.completion_token_reader import CompletionTokenReader
from crystext.grammar.fields import Field
from crystext.grammar.infilling import InfillingAutomaton, infill_fields, is_single_element
from crystext.grammar.token_reader import has_crystal_vocabulary
from crystext.inference.types import Request
from crystext.models.load import LoadedModel
from crystext.models.network import float32_copy
from crystext.runtime.device import move_to_gpu
from crystext.structures.distances import Bools
from crystext.text import Format
from crystext.tokenization.encode import completion_ids, prompt_ids

_BATCH_SIZE = 64
"""Prompts per batch."""


class RankedElement(NamedTuple):
    """A candidate element for an unknown site."""

    symbol: str
    log_probability: float
    """In nats, normalized over the allowed elements."""


class ElementRanker:
    """A model, ready to rank elements by probability."""

    def __init__(self, model: LoadedModel) -> None:
        """Prepare the model, on a GPU if available.

        Raises:
            ModelError: its vocabulary cannot write a crystal, or has no end-of-sequence token.
        """
        self.model, self._network = model, float32_copy(model.network)
        move_to_gpu(self._network)
        self._token_readers: dict[tuple[Field, ...], CompletionTokenReader] = {}
        small = has_crystal_vocabulary(model.tokenizer, model.format)
        self._trie = None if small else TokenTrie(model.tokenizer)

    def rank(self, requests: Sequence[Request]) -> list[list[RankedElement]]:
        """Return the allowed elements for each request, the most probable first.

        Raises:
            ModelError: a prompt takes more positions than the model has.
        """
        prompts = [prompt_ids(self.model.tokenizer, request.prompt) for request in requests]
        allowed = [_allowed_elements(request, self.model.format) for request in requests]
        known = getattr(self._network.config, "max_position_embeddings", None)
        if known is not None and (longest := max(map(len, prompts), default=0)) >= known:
            raise ModelError(
                f"a prompt has {longest} tokens, but the model has {known} positions; try a "
                "crystal of fewer atoms"
            )
        with torch.inference_mode():
            if self._trie is None:
                logits = self._logits_after(prompts)
                return [
                    self._rank_by_token(request, row, mask)
                    for request, row, mask in zip(requests, logits, allowed, strict=True)
                ]
            return [
                self._rank_by_text(request, prompt, mask)
                for request, prompt, mask in zip(requests, prompts, allowed, strict=True)
            ]

    def _logits_after(self, prompts: list[list[int]]) -> list[torch.Tensor]:
        """Return the logits after each prompt."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            by_length[len(prompt)].append(i)
        found: dict[int, torch.Tensor] = {}
        device = next(self._network.parameters()).device
        for same in by_length.values():
            for start in range(0, len(same), _BATCH_SIZE):
                batch = same[start : start + _BATCH_SIZE]
                ids = torch.tensor([prompts[i] for i in batch], device=device)
                logits = self._network(input_ids=ids, logits_to_keep=1).logits[:, -1].float().cpu()
                found.update(zip(batch, logits, strict=True))
        return [found[i] for i in range(len(prompts))]

    def _rank_by_token(
        self, request: Request, logits: torch.Tensor, allowed: Bools
    ) -> list[RankedElement]:
        """Rank elements by the logits of their tokens."""
        assert request.partial is not None
        fields = tuple(blank.field for blank in infill_fields(request.partial))
        if fields not in self._token_readers:
            self._token_readers[fields] = CompletionTokenReader(
                self.model.tokenizer, self.model.format, list(fields)
            )
        (ids,) = self._token_readers[fields].tokens_at(0)
        elements = logits[torch.from_numpy(ids)].masked_fill(~torch.from_numpy(allowed), -torch.inf)
        chances = elements.log_softmax(dim=0).tolist()
        return _sorted_by_probability([(z, chances[z]) for z in np.flatnonzero(allowed).tolist()])

    def _rank_by_text(
        self, request: Request, prompt: list[int], allowed: Bools
    ) -> list[RankedElement]:
        """Score each element's text, including its end, token by token under the grammar."""
        assert request.partial is not None
        assert self._trie is not None
        tokenizer, end = self.model.tokenizer, self._trie.end
        automaton = InfillingAutomaton(self.model.format, 1, request.partial, request.constraints)
        processor = GrammarProcessor(tokenizer, len(prompt), automaton, self._trie)
        numbers = np.flatnonzero(allowed).tolist()
        texts = [[*completion_ids(tokenizer, SYMBOLS[z - 1]), end] for z in numbers]
        width = max(map(len, texts))
        # After its end a text is padded with ends, which do not count.
        ids = torch.tensor([text + [end] * (width - len(text)) for text in texts])
        scores = torch.zeros(len(texts), dtype=torch.float64)
        device = next(self._network.parameters()).device
        for start in range(0, len(texts), _BATCH_SIZE):
            rows = slice(start, min(start + _BATCH_SIZE, len(texts)))
            whole = torch.cat([torch.tensor([prompt] * (rows.stop - start)), ids[rows]], dim=1)
            output = self._network(input_ids=whole.to(device), logits_to_keep=width + 1)
            logits = output.logits[:, :-1, : len(tokenizer)].float().cpu()
            for step in range(width):
                mask = processor.mask(ids[rows, :step], len(tokenizer))
                chances = logits[:, step].masked_fill(~mask, -torch.inf).log_softmax(dim=1)
                scores[rows] += chances.gather(1, ids[rows, step, None]).squeeze(1).double()
        return _sorted_by_probability(list(zip(numbers, scores.tolist(), strict=True)))


def _allowed_elements(request: Request, fmt: Format) -> Bools:
    assert request.partial is not None
    assert is_single_element(request.partial)
    allowed: Bools = InfillingAutomaton(fmt, 1, request.partial, request.constraints).allowed()
    return np.asarray(allowed[0])


def _sorted_by_probability(candidates: list[tuple[int, float]]) -> list[RankedElement]:
    candidates.sort(key=lambda pair: (-pair[1], pair[0]))
    return [RankedElement(SYMBOLS[z - 1], chance) for z, chance in candidates]
