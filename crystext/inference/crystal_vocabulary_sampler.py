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

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel


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
        requested = frozenset(indices[:wanted])
        with torch.inference_mode():
            while waiting and not requested <= done.keys():
                TextBatch(self, request, redraw).run(waiting, done, requested)
        return [done[index] for index in indices[:wanted]]
