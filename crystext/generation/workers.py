"""Processes that sample batches: each holds the model, and has one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from crystext.conditions import Conditions
from crystext.generation.sampling_run import SampleBatch
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.layout import ModelFolder
from crystext.runtime.processes import run_in_order


@dataclass(frozen=True)
class WorkerConfig:
    """The configuration shared by all batches of a run."""

    model: ModelFolder
    settings: SamplingSettings
    requests: tuple[Request, ...]
    """All for texts in the same format."""
    conditions: tuple[Conditions, ...]
    """The conditions of each request."""
    max_attempts_per_sample: int = 1


def sample_batches(
    config: WorkerConfig, batches: Sequence[SampleBatch], workers: int
) -> Generator[tuple[SampleBatch, list[Attempt]], None, None]:
    """Yield these batches, in order, with their samples.

    Close the iterator to stop the processes before they are done.

    Args:
        config: the model, the requests and how they are sampled.
        batches: parts of the run.
        workers: processes, at most.

    Raises:
        ModelError: the model cannot be loaded, or not sampled with these settings.
        RunError: a process was killed.
    """
    remedy = "try fewer --workers or a smaller --batch-size"
    answers = run_in_order(partial(_make_sampling, config), batches, workers, remedy=remedy)
    with closing(answers):
        yield from zip(batches, answers, strict=False)


def _make_sampling(config: WorkerConfig) -> Callable[[SampleBatch], list[Attempt]]:
    """Load the model in a worker process; return the function that samples a batch."""
    # oneDNN keeps 1,024 compiled kernels by default, some hundred MB, and hardly reuses them.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    import torch
    from tqdm import tqdm

    from crystext.generation.rejection_sampling import sample_until_satisfied
    from crystext.inference.generate import TextGenerator
    from crystext.models.load import load_model

    # Sums split over threads round differently: with one thread a batch is the same everywhere.
    torch.set_num_threads(1)
    # tqdm, in peft, would create a lock between processes; a killed process would leave it behind,
    # and Python would warn about it.
    tqdm.set_lock(threading.RLock())
    model = load_model(config.model)
    generator = TextGenerator(model, config.settings)

    def sample(batch: SampleBatch) -> list[Attempt]:
        return sample_until_satisfied(
            generator,
            config.requests[batch.request_index],
            config.conditions[batch.request_index],
            range(batch.start, batch.start + batch.size),
            fmt=model.format,
            constrained=config.settings.constrained,
            max_attempts_per_sample=config.max_attempts_per_sample,
        )

    return sample
