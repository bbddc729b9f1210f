"""The examples of each training step.

A batch is a fixed number of examples: step s takes positions s * B to (s + 1) * B of the stream. So
a batch is a function of seed and step alone; a run can resume at any step without the earlier
batches; and each of P processes makes every P-th example only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
import torch

from crystext.training.example_stream import ExampleStream, TrainingRow


def steps_for_epochs(epochs: float, crystals: int, batch_size: int) -> int:
    """Return the number of batches for this many epochs."""
    return max(1, math.ceil(epochs * crystals / batch_size))


def dropout_seed(seed: int, step: int, process_index: int, micro_batch: int) -> int:
    """Return the seed of the dropout of one part of a batch.

    It does not depend on earlier steps, so that a run can resume at any step.
    """
    return int(
        np.random.SeedSequence([seed, step, process_index, micro_batch]).generate_state(1)[0]
    )


class Batches(torch.utils.data.Dataset[list[TrainingRow]]):
    """The examples of one of several processes at each step."""

    def __init__(
        self,
        examples: ExampleStream,
        batch_size: int,
        process_index: int = 0,
        num_processes: int = 1,
    ) -> None:
        self.examples, self.batch_size = examples, batch_size
        self.process_index, self.num_processes = process_index, num_processes

    def __getitem__(self, step: int) -> list[TrainingRow]:
        """Return this process's examples of a step; empty if they are all too long."""
        first = step * self.batch_size
        return self.examples.rows(
            range(first + self.process_index, first + self.batch_size, self.num_processes)
        )

    def iter_batches(self, start: int, stop: int, workers: int = 0) -> Iterator[list[TrainingRow]]:
        """Yield the batches of steps `start` to `stop`.

        Args:
            workers: processes that make them ahead of time; 0 makes each on request.
        """
        loader = torch.utils.data.DataLoader(
            self,
            sampler=range(start, stop),
            batch_size=None,
            collate_fn=_no_collate,
            num_workers=workers,
            worker_init_fn=_start_worker,
            # A separate generator, so that the one of dropout is not advanced.
            generator=torch.Generator(),
        )
        yield from loader


def _no_collate(rows: list[TrainingRow]) -> list[TrainingRow]:
    return rows


def _start_worker(_: int) -> None:
    # The tokenizer warns in a forked process that it will use one thread, which is what we want.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
