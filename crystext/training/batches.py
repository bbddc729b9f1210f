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

from crystext.training.examples import Examples, Row


def steps_of(epochs: float, crystals: int, sequences: int) -> int:
    """Return the number of batches that pass over the crystals so many times."""
    return max(1, math.ceil(epochs * crystals / sequences))


class Batches(torch.utils.data.Dataset[list[Row]]):
    """What one of several processes learns from at each step."""

    def __init__(
        self, examples: Examples, sequences: int, process: int = 0, processes: int = 1
    ) -> None:
        self.examples, self.sequences = examples, sequences
        self.process, self.processes = process, processes

    def __getitem__(self, step: int) -> list[Row]:
        """Return this process's examples of a step; none if they are all too long."""
        first = step * self.sequences
        return self.examples.rows(
            range(first + self.process, first + self.sequences, self.processes)
        )

    def stream(self, start: int, stop: int, workers: int = 0) -> Iterator[list[Row]]:
        """Yield the batches of steps `start` to `stop`.

        Args:
            workers: processes that make them ahead of time; 0 makes each when it is asked for.
        """
        loader = torch.utils.data.DataLoader(
            self,
            sampler=range(start, stop),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=workers,
            worker_init_fn=_start_worker,
            # Of its own, so that nothing is drawn from the one that dropout uses.
            generator=torch.Generator(),
        )
        yield from loader


def _as_it_is(rows: list[Row]) -> list[Row]:
    return rows


def _start_worker(_: int) -> None:
    # The tokenizer warns in a forked process that it will use one thread, which is what we want.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
