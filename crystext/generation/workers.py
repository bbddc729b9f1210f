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
    """What all batches of a run have in common."""

    model: ModelFolder
    settings: SamplingSettings
    requests: tuple[Request, ...]
    """All for texts in one format."""
    conditions: tuple[Conditions, ...]
    """What each request was made of."""
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
        ModelError: the model cannot be loaded, or not be sampled in this way.
        RunError: a process was killed.
    """
    remedy = "try fewer --workers or a smaller --batch-size"
    answers = run_in_order(partial(_make_sampling, config), batches, workers, remedy=remedy)
    with closing(answers):
        yield from zip(batches, answers, strict=False)


def _make_sampling(config: WorkerConfig) -> Callable[[SampleBatch], list[Attempt]]:
    """Load the model in a process of its own; return what samples a batch there."""
    # oneDNN keeps 1,024 compiled kernels by default, some hundred MB, and hardly reuses them.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    import torch
    from tqdm import tqdm

    from crystext.generation.rejection_sampling import sample_until_satisfied
    from crystext.inference.generate import TextGenerator
    from crystext.models.load import load_model

    # Sums split over threads round otherwise: one thread makes a batch the same everywhere.
    torch.set_num_threads(1)
    # The lock that tqdm, in peft, would make is one between processes; killed, this one would
    # leave it behind, and Python warn of that.
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
