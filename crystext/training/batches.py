"""Which examples a step learns from.

A batch is a fixed number of examples: step s takes positions s * B to (s + 1) * B of the stream.
So a batch is a function of seed and step alone; a run goes on at any step without making the
earlier batches again; and each of P processes makes every P-th example and no other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import torch

from crystext.training.examples import Examples, TokenizedExample


def steps_for_epochs(epochs: float, crystals: int, batch_size: int) -> int:
    """Return the number of batches that pass over the crystals so many times."""
    return max(1, math.ceil(epochs * crystals / batch_size))


class Batches(torch.utils.data.Dataset[list[TokenizedExample]]):
    """What one of several processes learns from at each step."""

    def __init__(
        self, examples: Examples, batch_size: int, process_index: int = 0, num_processes: int = 1
    ) -> None:
        self.examples, self.batch_size = examples, batch_size
        self.process_index, self.num_processes = process_index, num_processes

    def __getitem__(self, step: int) -> list[TokenizedExample]:
        """Return this process's examples of a step; none if they are all too long."""
        first = step * self.batch_size
        return self.examples.rows(
            range(first + self.process_index, first + self.batch_size, self.num_processes)
        )

    def iter_batches(
        self, start: int, stop: int, workers: int = 0
    ) -> Iterator[list[TokenizedExample]]:
        """Yield the batches of steps `start` to `stop`.

        Args:
            workers: processes that make them ahead of time; 0 makes each when it is asked for.
        """
        loader = torch.utils.data.DataLoader(
            self,
            sampler=range(start, stop),
            batch_size=None,
            collate_fn=_no_collate,
            num_workers=workers,
            worker_init_fn=_start_worker,
            # Of its own, so that nothing is drawn from the one that dropout uses.
            generator=torch.Generator(),
        )
        yield from loader


def _no_collate(rows: list[TokenizedExample]) -> list[TokenizedExample]:
    return rows


def _start_worker(_: int) -> None:
    # The tokenizer warns in a forked process that it will use one thread, which is what we want.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
