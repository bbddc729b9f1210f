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
from crystext.generation.sampling_run import Batch
from crystext.inference.types import Attempt, DrawSettings, Request
from crystext.runtime.processes import die_with_parent, one_thread_each

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_AHEAD = 4
"""Batches a process that waits for a slower one may be ahead of it: what waits lies in memory."""


@dataclass(frozen=True)
class Job:
    """What all batches of a campaign have in common."""

    model: str
    settings: DrawSettings
    requests: tuple[Request, ...]
    """All for texts in one format."""
    conditions: tuple[Conditions, ...]
    """What each request was made of."""
    max_tries: int = 1


def draw_batches(
    job: Job, batches: Sequence[Batch], workers: int
) -> Generator[tuple[Batch, list[Attempt]], None, None]:
    """Yield these batches, in order, with their attempts, as `workers` processes draw them.

    Close the iterator to stop the processes before they are done.

    Raises:
        ModelError: the model cannot be loaded, or not be drawn from in this way.
        RunError: a process was killed.
    """
    crew = [_Worker(job) for _ in batches[:workers]]
    try:
        yield from _in_order(crew, batches)
    finally:
        for worker in crew:
            worker.process.kill()
        for worker in crew:
            worker.process.join()


class _Worker:
    """A process, and the connection to it."""

    def __init__(self, job: Job) -> None:
        # What was forked would share locks with threads that do not exist in it.
        context = get_context("spawn")
        self.connection, far_end = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(job, far_end), daemon=True, name="crystext-draw"
        )
        with one_thread_each():
            self.process.start()
        far_end.close()

    def ask(self, batch: Batch) -> None:
        """Have a batch drawn; one at a time."""
        try:
            self.connection.send(batch)
        except BrokenPipeError:
            raise self._died() from None

    def answer(self) -> tuple[Batch, list[Attempt]]:
        """Wait for the batch that was asked for; return it and its attempts."""
        try:
            batch, answer = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._died() from None
        if isinstance(answer, CrystextError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"a process that draws failed:\n{answer}")
        return batch, answer

    def _died(self) -> RunError:
        self.process.join()
        return RunError(
            f"a process that draws ended with exit code {self.process.exitcode} (-9: killed, "
            "perhaps for want of memory; try fewer --workers or a smaller --batch-size). What was "
            "drawn so far is kept"
        )


def _in_order(
    crew: list[_Worker], batches: Sequence[Batch]
) -> Iterator[tuple[Batch, list[Attempt]]]:
    by_connection = {worker.connection: worker for worker in crew}
    left = iter(batches)
    early: dict[Batch, list[Attempt]] = {}
    busy: set[Connection] = set()
    idle = list(crew)
    for due in batches:
        while due not in early:
            while idle and len(early) + len(busy) < _AHEAD * len(crew):
                batch = next(left, None)
                if batch is None:
                    break
                worker = idle.pop()
                worker.ask(batch)
                busy.add(worker.connection)
            for ready in connection.wait(list(busy)):
                worker = by_connection[ready]  # type: ignore[index]
                batch, attempts = worker.answer()
                early[batch] = attempts
                busy.remove(worker.connection)
                idle.append(worker)
        yield due, early.pop(due)


def _work(job: Job, asker: Connection) -> None:
    """Answer the asker until it hangs up. Runs in a process of its own."""
    # An interrupt at the terminal reaches all processes; the command answers for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before anything that takes long: the command may be killed while this imports torch.
    die_with_parent()
    batch = asker.recv()
    try:
        # oneDNN keeps 1,024 compiled kernels by default, some hundred MB, and hardly reuses them.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
        import torch
        from tqdm import tqdm

        from crystext.generation.rejection_sampling import draw_judged
        from crystext.inference.samplers import make_sampler
        from crystext.models.load import load_model

        # Sums split over threads round otherwise: one thread makes a batch the same everywhere.
        torch.set_num_threads(1)
        # The lock that tqdm, in peft, would make is one between processes; killed, this one would
        # leave it behind, and Python warn of that.
        tqdm.set_lock(threading.RLock())
        model = load_model(job.model)
        sampler = make_sampler(model, job.settings, job.requests[batch.request].format)
        while True:
            attempts = draw_judged(
                sampler,
                job.requests[batch.request],
                job.conditions[batch.request],
                range(batch.start, batch.start + batch.size),
                fmt=model.format,
                constrained=job.settings.constrained,
                max_tries=job.max_tries,
            )
            asker.send((batch, attempts))
            batch = asker.recv()
    except EOFError:
        return
    except CrystextError as error:
        asker.send((batch, error))
    except Exception:  # Told to the asker, whose fault it then is.
        asker.send((batch, traceback.format_exc()))
