"""Samples texts under a grammar, a batch at a time, from a model with the crystal vocabulary.

`BatchSampler` is one engine for all formats of that vocabulary. It steps the network, after two
prompts if guidance is on, keeps the random numbers and the log-probability of each text, removes
finished texts, begins others in their place, and restarts those that a format does not accept
(`text_batch`, which also says what a format has to bring).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.text_batch import TextBatch, Vocabulary, WaitingText
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.structures.crystal import Ints

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel

_MAX_HEADS = 64
"""Number of parts of the head that are kept, each for the tokens of one kind."""


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
        self._heads: dict[int, tuple[Ints, CpuLlama, torch.Tensor]] = {}
        """The head of some tokens, by the identity of the array of their ids."""

    def head(self, ids: Ints) -> torch.Tensor:
        """Return the rows of the head for these token ids; the array must not change later."""
        found = self._heads.get(id(ids))
        if found is None or found[1] is not self.llama:
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            found = self._heads[id(ids)] = ids, self.llama, self.llama.head[torch.from_numpy(ids)]
        return found[2]

    def draw(
        self,
        request: Request,
        indices: Sequence[int],
        *,
        redraw: int = 0,
        wanted: int | None = None,
    ) -> list[Attempt]:
        """Sample one text for each index, or for the first `wanted` of them.

        A text depends on the seed, its index and how often it was sampled before, and on the rest
        of the batch through rounding. So texts that are not wanted are sampled, too, but not
        finished.

        Raises:
            ModelError: the texts could exceed the model's number of positions.
            SettingError: no text can satisfy the request.
        """
        done: dict[int, Attempt] = {}
        waiting = deque(WaitingText(index) for index in indices)
        asked = frozenset(indices[:wanted])
        with torch.inference_mode():
            while waiting and not asked <= done.keys():
                TextBatch(self, request, redraw).run(waiting, done, asked)
        return [done[index] for index in indices[:wanted]]
