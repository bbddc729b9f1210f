"""The endless stream of training batches, a function of seed and epoch alone.

Every example has random numbers of its own, keyed by seed, epoch and crystal. An epoch can be made
again whatever was drawn before it, so a run that was killed goes on with exactly the batches it
would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crystext.augment import permute_within_species, translate
from crystext.codec import Format
from crystext.data.store import Dataset
from crystext.prompts import PromptSet
from crystext.tasks import TASKS
from crystext.tasks.base import Example, Record
from crystext.tokens import example_ids, pad

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]

_WINDOW = 64
"""Batches whose examples are sorted by length together, so that rows of a batch are about equal."""


class Batches:
    """Draws tasks and augmentations, and gathers examples of like length into batches."""

    def __init__(
        self,
        data: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        prompts: PromptSet,
        fmt: Format,
        *,
        task_weights: Mapping[str, float],
        translate_share: float,
        batch_tokens: int,
        max_tokens: int,
        seed: int,
        loss_on_prompt: bool = False,
    ) -> None:
        """Set up a stream.

        Args:
            task_weights: relative frequency of each task, by name.
            translate_share: share of the examples whose crystal is shifted at random.
            batch_tokens: rows times the longest of them, at most, before `tokens.pad` rounds the
                width up; an example longer than that is a batch of its own.
            max_tokens: longer examples are left out.
        """
        self.data, self.tokenizer, self.prompts, self.format = data, tokenizer, prompts, fmt
        self.tasks = [TASKS[name] for name in task_weights]
        weights = np.array(list(task_weights.values()), dtype=np.float64)
        self.task_cdf = np.cumsum(weights / weights.sum())
        self.translate_share = translate_share
        self.batch_tokens, self.max_tokens = batch_tokens, max_tokens
        self.seed, self.loss_on_prompt = seed, loss_on_prompt

    def example(self, index: int, epoch: int) -> Example:
        """Return the example that crystal `index` gives in an epoch."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, epoch * len(self.data) + index]))
        record = self.data[index]
        crystal = permute_within_species(record.crystal, rng)
        if rng.random() < self.translate_share:
            crystal = translate(crystal, rng)
        # The sum may end a rounding error below 1.
        drawn = np.searchsorted(self.task_cdf, rng.random() * self.task_cdf[-1], side="right")
        task = self.tasks[int(drawn)]
        return task.make(Record(crystal, record.labels), self.prompts, self.format, rng)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one pass over the data."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, 2**62 + epoch]))
        window: list[tuple[list[int], list[int]]] = []
        size = 0
        for index in rng.permutation(len(self.data)).tolist():
            row = example_ids(self.tokenizer, self.example(index, epoch), self.loss_on_prompt)
            if len(row[0]) > self.max_tokens:
                continue
            window.append(row)
            size += len(row[0])
            if size >= _WINDOW * self.batch_tokens:
                yield from self._cut(window, rng)
                window, size = [], 0
        if window:
            yield from self._cut(window, rng)

    def _cut(
        self, window: list[tuple[list[int], list[int]]], rng: np.random.Generator
    ) -> Iterator[Batch]:
        window.sort(key=lambda row: len(row[0]), reverse=True)
        batches: list[Batch] = []
        start = 0
        pad_id = int(self.tokenizer.pad_token_id)
        while start < len(window):
            # The first row is the longest: it sets the width, and with it the number of rows.
            rows = window[start : start + max(1, self.batch_tokens // len(window[start][0]))]
            batches.append(pad(rows, pad_id))
            start += len(rows)
        for i in rng.permutation(len(batches)).tolist():
            yield batches[i]
