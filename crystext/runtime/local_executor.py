"""Processes of this machine that stay between calls, as an executor of `concurrent.futures`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import Any

from crystext.errors import CrystextError, WorkerDeathError
from crystext.runtime.processes import MAX_DEATHS_PER_TASK, ProcessDeath, ProcessPool


class LocalExecutor(Executor):
    """Processes that stay between calls.

    `run_tasks` and `run_in_order` start and stop processes in each call; given this executor, they
    use the same processes again, with what these have loaded. A task whose process dies is run once
    more, and then fails with `WorkerDeathError`. Use it as a context manager: at its end the
    processes are killed, and they end if this process is killed.
    """

    def __init__(self, workers: int) -> None:
        """Prepare; a process starts when there is a task for it.

        Args:
            workers: maximum number of processes.
        """
        self._pool = ProcessPool[tuple[Future[Any], int], _Call, Any](_call_maker, workers)
        self._waiting: deque[tuple[Future[Any], int, _Call]] = deque()
        self._wake_end, self._wake = get_context("spawn").Pipe(duplex=False)
        self._lock, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Future[Any]:
        """Run a function of a module in a process; see `concurrent.futures.Executor.submit`."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor is closed")
            self._waiting.append((future, 1, _Call(function, arguments, keywords)))
            self._wake.send_bytes(b".")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill the processes; tasks that are not done are cancelled."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._wake.send_bytes(b".")
        if wait:
            self._thread.join()

    def _serve(self) -> None:
        """Hand out tasks and deliver their results until the executor is closed."""
        with closing(self._pool):
            while not self._closed:
                while self._waiting and self._pool.has_capacity:
                    future, attempt, call = self._waiting.popleft()
                    if future.cancelled():
                        continue
                    self._pool.submit((future, attempt), call)
                busy = [process.connection for process in self._pool.busy]
                ready = connection.wait([self._wake_end, *busy])
                if self._wake_end in ready:
                    self._wake_end.recv_bytes()
                if len(ready) > (self._wake_end in ready):
                    self._deliver()
        for future in [future for future, *_ in self._waiting] + [f for f, _ in self._unfinished()]:
            future.cancel()

    def _unfinished(self) -> list[tuple[Future[Any], int]]:
        return [key for key, _ in self._pool.busy.values()]

    def _deliver(self) -> None:
        """Pass results to the futures of their tasks."""
        try:
            for (future, attempt), call, answer in self._pool.wait():
                if future.cancelled():
                    continue
                if not isinstance(answer, ProcessDeath):
                    error, value = answer
                    future.set_result(value) if error is None else future.set_exception(error)
                elif attempt < MAX_DEATHS_PER_TASK:
                    self._waiting.append((future, attempt + 1, call))
                else:
                    message = (
                        f"processes ended with exit code {answer.exit_code}; try fewer workers"
                    )
                    future.set_exception(WorkerDeathError(message))
        except (CrystextError, RuntimeError) as error:
            # A process could not start, or an error of the program ended it.
            self._closed = True
            for future, _ in self._unfinished():
                if not future.done():
                    future.set_exception(error)


@dataclass(frozen=True)
class _Call:
    """A function and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


def _call_maker() -> Callable[[_Call], tuple[Exception | None, Any]]:
    return _call


def _call(call: _Call) -> tuple[Exception | None, Any]:
    """Return no error and the result of a call, or its error; runs in a worker process."""
    try:
        return None, call.function(*call.arguments, **call.keywords)
    except CrystextError as error:
        return error, None
