"""Processes that sample batches: each holds the model, and samples on one thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from crystext.conditions import Conditions
from crystext.generation.sampling_run import SMALL_MODEL_BYTES, SampleBatch
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
    total: int | None = None
    """Number of samples that are wanted: of the last batch, those before; None is all."""


def sample_batches(
    config: WorkerConfig, batches: Sequence[SampleBatch], workers: int
) -> Generator[tuple[SampleBatch, list[Attempt]], None, None]:
    """Yield these batches, in order, with their samples.

    Close the iterator to stop the processes before they are done. With a small model this process
    is the only worker if one is asked for; it samples the first batch while several start.

    Args:
        config: the model, the requests and how they are sampled.
        batches: parts of the run.
        workers: processes, at most.

    Raises:
        ModelError: the model cannot be loaded, or not sampled with these settings.
        RunError: a process was killed.
    """
    remedy = "try fewer --workers or a smaller --batch-size"
    answers = run_in_order(
        partial(_make_sampling, config),
        batches,
        workers,
        remedy=remedy,
        here=_sampling_here(config) if _is_light(config) else None,
    )
    with closing(answers):
        yield from zip(batches, answers, strict=False)


def _is_light(config: WorkerConfig) -> bool:
    """Return whether the model is so small that this process may hold it beside the others."""
    files = config.model
    return (
        config.settings.constrained
        and not files.is_adapter
        and files.weight_bytes() <= SMALL_MODEL_BYTES
    )


def _sampling_here(config: WorkerConfig) -> Callable[[SampleBatch], list[Attempt]]:
    """Return a function that samples a batch in this process, as a worker does.

    The model is loaded for the first batch. Threads are as before between the batches.
    """
    sample: Callable[[SampleBatch], list[Attempt]] | None = None

    def sample_here(batch: SampleBatch) -> list[Attempt]:
        import torch

        nonlocal sample
        before = torch.get_num_threads()
        try:
            sample = sample or _make_sampling(config)
            torch.set_num_threads(1)
            return sample(batch)
        finally:
            torch.set_num_threads(before)

    return sample_here


def _make_sampling(config: WorkerConfig) -> Callable[[SampleBatch], list[Attempt]]:
    """Return the function that samples a batch; it loads the model."""
    # oneDNN keeps 1,024 compiled kernels by default, some hundred MB, and hardly reuses them.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
    import torch

    from crystext.generation.rejection_sampling import sample_until_satisfied
    from crystext.inference.generate import TextGenerator

    # Sums split over threads round differently: with one thread a batch is the same everywhere.
    torch.set_num_threads(1)
    generator = TextGenerator(config.model, config.settings)

    def sample(batch: SampleBatch) -> list[Attempt]:
        return sample_until_satisfied(
            generator,
            config.requests[batch.request_index],
            config.conditions[batch.request_index],
            range(batch.start, batch.start + batch.size),
            fmt=generator.format,
            constrained=config.settings.constrained,
            max_attempts_per_sample=config.max_attempts_per_sample,
            wanted=None if config.total is None else config.total - batch.start,
        )

    return sample
