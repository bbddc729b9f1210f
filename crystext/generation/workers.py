"""Processes that draw batches: each holds the model and one thread, and none outlives the command.

A process is told a batch and answers with its attempts. What goes wrong in one
is told in the process that asked. They are killed when the asker stops asking, whatever the reason,
and end by themselves when it is killed.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING

from crystext.conditions import Conditions
from crystext.errors import CrystextError, RunError
from crystext.generation.sampling_run import SampleBatch
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.runtime.processes import die_with_parent, one_thread_per_process

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_MAX_BATCHES_AHEAD = 4
"""Batches a process that waits for a slower one may be ahead of it: what waits lies in memory."""


@dataclass(frozen=True)
class WorkerConfig:
    """What all batches of a campaign have in common."""

    model: str
    settings: SamplingSettings
    requests: tuple[Request, ...]
    """All for texts in one format."""
    conditions: tuple[Conditions, ...]
    """What each request was made of."""
    max_attempts_per_sample: int = 1


def sample_batches(
    config: WorkerConfig, batches: Sequence[SampleBatch], workers: int
) -> Generator[tuple[SampleBatch, list[Attempt]], None, None]:
    """Yield these batches, in order, with their attempts, as `workers` processes draw them.

    Close the iterator to stop the processes before they are done.

    Raises:
        ModelError: the model cannot be loaded, or not be drawn from in this way.
        RunError: a process was killed.
    """
    pool = [_Worker(config) for _ in batches[:workers]]
    try:
        yield from _batches_in_order(pool, batches)
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.process.join()


class _Worker:
    """A process, and the connection to it."""

    def __init__(self, config: WorkerConfig) -> None:
        # What was forked would share locks with threads that do not exist in it.
        context = get_context("spawn")
        self.connection, far_end = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_worker_main, args=(config, far_end), daemon=True, name="crystext-draw"
        )
        with one_thread_per_process():
            self.process.start()
        far_end.close()

    def submit(self, batch: SampleBatch) -> None:
        """Have a batch drawn; one at a time."""
        try:
            self.connection.send(batch)
        except BrokenPipeError:
            raise self._death_error() from None

    def result(self) -> tuple[SampleBatch, list[Attempt]]:
        """Wait for the batch that was asked for; return it and its attempts."""
        try:
            batch, answer = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._death_error() from None
        if isinstance(answer, CrystextError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"a process that draws failed:\n{answer}")
        return batch, answer

    def _death_error(self) -> RunError:
        self.process.join()
        return RunError(
            f"a process that draws ended with exit code {self.process.exitcode} (-9: killed, "
            "perhaps for want of memory; try fewer --workers or a smaller --batch-size). What was "
            "drawn so far is kept"
        )


def _batches_in_order(
    pool: list[_Worker], batches: Sequence[SampleBatch]
) -> Iterator[tuple[SampleBatch, list[Attempt]]]:
    by_connection = {worker.connection: worker for worker in pool}
    left = iter(batches)
    early: dict[SampleBatch, list[Attempt]] = {}
    busy: set[Connection] = set()
    idle = list(pool)
    for due in batches:
        while due not in early:
            while idle and len(early) + len(busy) < _MAX_BATCHES_AHEAD * len(pool):
                batch = next(left, None)
                if batch is None:
                    break
                worker = idle.pop()
                worker.submit(batch)
                busy.add(worker.connection)
            for ready in connection.wait(list(busy)):
                worker = by_connection[ready]  # type: ignore[index]
                batch, attempts = worker.result()
                early[batch] = attempts
                busy.remove(worker.connection)
                idle.append(worker)
        yield due, early.pop(due)


def _worker_main(config: WorkerConfig, parent: Connection) -> None:
    """Answer the asker until it hangs up. Runs in a process of its own."""
    # An interrupt at the terminal reaches all processes; the command answers for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before anything that takes long: the command may be killed while this imports torch.
    die_with_parent()
    batch = parent.recv()
    try:
        # oneDNN keeps 1,024 compiled kernels by default, some hundred MB, and hardly reuses them.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
        import torch
        from tqdm import tqdm

        from crystext.generation.rejection_sampling import sample_until_satisfied
        from crystext.inference.samplers import make_sampler
        from crystext.models.load import load_model

        # Sums split over threads round otherwise: one thread makes a batch the same everywhere.
        torch.set_num_threads(1)
        # The lock that tqdm, in peft, would make is one between processes; killed, this one would
        # leave it behind, and Python warn of that.
        tqdm.set_lock(threading.RLock())
        model = load_model(config.model)
        sampler = make_sampler(model, config.settings, config.requests[batch.request_index].format)
        while True:
            attempts = sample_until_satisfied(
                sampler,
                config.requests[batch.request_index],
                config.conditions[batch.request_index],
                range(batch.start, batch.start + batch.size),
                fmt=model.format,
                constrained=config.settings.constrained,
                max_attempts_per_sample=config.max_attempts_per_sample,
            )
            parent.send((batch, attempts))
            batch = parent.recv()
    except EOFError:
        return
    except CrystextError as error:
        parent.send((batch, error))
    except Exception:  # Told to the asker, whose fault it then is.
        parent.send((batch, traceback.format_exc()))
