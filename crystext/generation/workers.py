"""Processes that sample batches: each holds the model, and samples on one thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from crystext.conditions import Conditions
from crystext.generation.sampling_run import SMALL_MODEL_BYTES, SampleBatch
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.layout import ModelFolder
from crystext.runtime.garbage import keep_present_objects
from crystext.runtime.processes import run_in_order

_SAMPLES_PER_GROUP = 1000

_Batches: TypeAlias = Iterable[SampleBatch]
_Answers: TypeAlias = Generator[list[Attempt], None, None]


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


def sample_in_processes(
    config: WorkerConfig, batches: Sequence[SampleBatch], workers: int
) -> Generator[tuple[SampleBatch, list[Attempt]], None, None]:
    """Yield these batches, in order, with their samples.

    Close the iterator to stop the processes before they are done. With a small model this process
    is one of two workers, or the only one; it samples the first batches while more start.

    Args:
        config: the model, the requests and how they are sampled.
        batches: parts of the run.
        workers: processes, at most.

    Raises:
        ModelError: the model cannot be loaded, or not sampled with these settings.
        RunError: a process was killed.
    """
    here = _sampling_here(config) if _is_light(config) else None
    if here is not None and workers == 1:
        answers = here(batches)
    else:
        groups = run_in_order(
            partial(_make_sampling, config),
            _grouped(batches, workers if here is not None else None),
            workers,
            remedy="try fewer --workers or a smaller --batch-size",
            here=None if here is None else partial(_sample_group, here),
        )
        answers = _ungrouped(groups)
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


def _sampling_here(config: WorkerConfig) -> Callable[[_Batches], _Answers]:
    """Return a function that samples batches in this process, as a worker does.

    Threads are as before between the batches.
    """

    def sample_here(batches: _Batches) -> _Answers:
        import torch

        before = torch.get_num_threads()
        try:
            for attempts in _make_stream(config)(batches):
                torch.set_num_threads(before)
                yield attempts
                torch.set_num_threads(1)
        finally:
            torch.set_num_threads(before)

    return sample_here


def _make_sampling(
    config: WorkerConfig,
) -> Callable[[Sequence[SampleBatch]], list[list[Attempt]]]:
    """Return the function that samples some batches; it loads the model."""
    return partial(_sample_group, _make_stream(config))


def _sample_group(
    stream: Callable[[_Batches], _Answers], batches: Sequence[SampleBatch]
) -> list[list[Attempt]]:
    return list(stream(batches))


def _grouped(batches: Sequence[SampleBatch], workers: int | None) -> Iterator[list[SampleBatch]]:
    """Yield batches in groups of up to a thousand samples, or fewer where all workers need some.

    A small model samples the batches of a group together, which takes less time than one after
    another. Without a number of workers, each batch is a group.
    """
    samples = sum(batch.size for batch in batches)
    most = 0 if workers is None else min(_SAMPLES_PER_GROUP, samples // workers)
    group: list[SampleBatch] = []
    for batch in batches:
        if group and sum(x.size for x in group) + batch.size > most:
            yield group
            group = []
        group.append(batch)
    if group:
        yield group


def _ungrouped(groups: Generator[list[list[Attempt]], None, None]) -> _Answers:
    with closing(groups):
        for group in groups:
            yield from group


def _make_stream(config: WorkerConfig) -> Callable[[_Batches], _Answers]:
    """Return the function that samples batches one after another; it loads the model."""
    # oneDNN keeps 1,024 compiled kernels by default, some hundred MB.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
    import torch

    from crystext.generation.rejection_sampling import sample_batches
    from crystext.inference.generate import TextGenerator

    # Sums split over threads round differently: with one thread a batch is the same everywhere.
    torch.set_num_threads(1)
    generator = TextGenerator(config.model, config.settings)
    keep_present_objects()
    return partial(
        sample_batches,
        generator,
        config.requests,
        config.conditions,
        max_attempts_per_sample=config.max_attempts_per_sample,
        total=config.total,
    )
