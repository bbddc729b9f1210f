"""Samples texts under a grammar, a batch at a time, from a model with the crystal vocabulary.

`BatchSampler` is one engine for all formats of that vocabulary. It steps the network, after two
prompts if guidance is on, keeps the random numbers and the log-probability of each text, removes
finished texts, begins others in their place, and restarts those that a format does not accept
(`text_batch`, which also says what a format has to bring).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.text_batch import TextBatch, Vocabulary, WaitingText
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.runtime.device import multiplies_bfloat16

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
        dtype = torch.bfloat16 if multiplies_bfloat16() else torch.float32
        self.llama = CpuLlama(model.network, dtype)

    def draw(
        self,
        request: Request,
        indices: Sequence[int],
        *,
        redraw: int = 0,
        wanted: int | None = None,
    ) -> list[Attempt]:
        """Sample one text for each index, or for the first `wanted` of them.

        A text depends on the seed, its index and how often it was sampled before.

        Raises:
            ModelError: the texts could exceed the model's number of positions.
            SettingError: no text can satisfy the request.
        """
        return next(self.stream(request, [indices[:wanted]], redraw=redraw))

    def stream(
        self, request: Request, batches: Iterable[Sequence[int] | None], *, redraw: int = 0
    ) -> Iterator[list[Attempt]]:
        """Yield the texts of batches, in order; later ones begin while earlier ones end.

        Args:
            request: prompt and constraints of the texts.
            batches: indices of texts. They are taken as there is room; None says that no other
                batch is there yet, and may be followed by one.
            redraw: as of `draw`.

        Raises:
            ModelError, SettingError: as `draw`.
        """
        source, has_ended = iter(batches), False
        due: deque[Sequence[int]] = deque()
        waiting: deque[WaitingText] = deque()
        done: dict[int, Attempt] = {}
        batch = TextBatch(self, request, redraw)
        while due or not has_ended:
            while not has_ended and len(due) < _MOST_DUE and batch.takes_more(len(waiting)):
                indices = next(source, _END)
                has_ended = indices is _END
                if indices is None or indices is _END:
                    break
                due.append(indices)
                waiting.extend(map(WaitingText, indices))
            with torch.inference_mode():
                batch.step(waiting, done)
            while due and all(index in done for index in due[0]):
                yield [done.pop(index) for index in due.popleft()]


_MOST_DUE = 4
"""Batches that are begun and not yet yielded: one that takes long keeps no more waiting."""

_END: Sequence[int] = []
"""Stands for the end of the batches."""
