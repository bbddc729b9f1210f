"""Processes that share out tasks, where one may die without taking the others or the work with it.

Each process holds one thing that is costly to make (a potential, a set of tables) and does one task
at a time with it. Unlike a pool of `concurrent.futures`, which breaks as a whole, it is known which
task a dead process had in hand: that task is given to a new process, once, and then given up.

The processes are spawned, so a calling script needs its `if __name__ == "__main__":`. None outlives
the asker: they are killed when it stops asking, and end by themselves when it is killed.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager, suppress
from functools import cache, partial
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from crystext.errors import CrystextError
from crystext.runtime.cluster import is_worker_death

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_Key = TypeVar("_Key")
_Task = TypeVar("_Task")
_Answer = TypeVar("_Answer")

Workers: TypeAlias = int | Executor
"""A number of processes of this machine; or any executor, such as that of a cluster."""

_MAX_DEATHS_PER_TASK = 2
"""Processes that may die over one task."""


def run_tasks(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[tuple[_Key, _Task]],
    workers: Workers,
) -> Iterator[tuple[_Key, _Answer | None]]:
    """Yield each task's key and answer, in the order in which they end.

    Close the iterator to kill the processes before they are done.

    Args:
        make_function: called once in each process; returns what does a task. It is sent to the
            process, so it has to be a function of a module, or a `functools.partial` of one.
        tasks: keys and tasks; processes of this machine take them as they are needed, an executor
            is given all at once.
        workers: processes, at most, which start when there is something for them to do; or an
            executor, which has its own.

    Yields:
        Key and answer; None for a task over which two processes died, or as many as an executor
        tries.

    Raises:
        CrystextError: raised by `make_function` or a task, and raised here again.
        RuntimeError: another error of theirs, with its traceback. An executor raises it as it was.
    """
    if isinstance(workers, Executor):
        yield from _run_on_executor(make_function, tasks, workers)
        return
    remaining = ((key, task, 1) for key, task in tasks)
    retries: list[tuple[_Key, _Task, int]] = []
    processes: list[_WorkerProcess[_Task, _Answer]] = []
    current_tasks: dict[_WorkerProcess[_Task, _Answer], tuple[_Key, _Task, int]] = {}
    try:
        while True:
            while len(current_tasks) < workers:
                item = retries.pop() if retries else next(remaining, None)
                if item is None:
                    break
                process = next((p for p in processes if p not in current_tasks), None)
                if process is None:
                    processes.append(process := _WorkerProcess(make_function))
                current_tasks[process] = item
                process.send(item[1])
            if not current_tasks:
                return
            ready = connection.wait([process.connection for process in current_tasks])
            for process in [p for p in current_tasks if p.connection in ready]:
                key, task, attempts = current_tasks.pop(process)
                try:
                    answer = process.receive()
                except (EOFError, OSError):
                    processes.remove(process)
                    process.kill()
                    if attempts < _MAX_DEATHS_PER_TASK:
                        retries.append((key, task, attempts + 1))
                    else:
                        yield key, None
                else:
                    yield key, answer
    finally:
        for process in processes:
            process.kill()


def _run_on_executor(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[tuple[_Key, _Task]],
    executor: Executor,
) -> Iterator[tuple[_Key, _Answer | None]]:
    futures = {executor.submit(_run_one_task, make_function, task): key for key, task in tasks}
    try:
        for future in as_completed(futures):
            try:
                answer = future.result()
            except Exception as error:
                if not is_worker_death(error):
                    raise
                yield futures[future], None
            else:
                yield futures[future], answer
    finally:
        for future in futures:
            future.cancel()


def _run_one_task(make_function: Callable[[], Callable[[_Task], _Answer]], task: _Task) -> _Answer:
    # Each task brings a copy of `make_function`: partials of one function and the same arguments
    # are one.
    thread = threading.get_ident()
    if isinstance(make_function, partial):
        keywords = tuple(sorted(make_function.keywords.items()))
        return _cached_function(thread, make_function.func, make_function.args, keywords)(task)  # type: ignore[no-any-return]
    return _cached_function(thread, make_function, (), ())(task)  # type: ignore[no-any-return]


@cache
def _cached_function(
    thread: int,  # Each has its own: a potential calculates one thing at a time.
    function: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...],
    keywords: tuple[tuple[str, Any], ...],
) -> Callable[[Any], Any]:
    return function(*arguments, **dict(keywords))


class _WorkerProcess(Generic[_Task, _Answer]):
    """A process, and the connection to it."""

    def __init__(self, make_function: Callable[[], Callable[[_Task], _Answer]]) -> None:
        # What was forked would share locks with threads that do not exist in it.
        context = get_context("spawn")
        self.connection, far_end = context.Pipe()
        self._process = context.Process(
            target=_run_worker, args=(make_function, far_end), daemon=True
        )
        with one_thread_per_process():
            self._process.start()
        far_end.close()

    def send(self, task: _Task) -> None:
        # A process that is dead already is found out when its answer is waited for.
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> _Answer:
        done, answer = self.connection.recv()
        if done:
            return answer  # type: ignore[no-any-return]
        if isinstance(answer, CrystextError):
            raise answer
        raise RuntimeError(f"a process failed:\n{answer}")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def available_cores() -> int:
    """Return how many processors this process may use; 1 where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def one_thread_per_process() -> Iterator[None]:
    """See to it that processes started within have one thread for numbers, as they share the cores.

    Numpy's libraries read how many when they are imported, which is before a process does anything.
    """
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def die_with_parent() -> None:
    """End this process when the one that started it ends, however it ends."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _run_worker(make_function: Callable[[], Callable[[Any], Any]], parent: Connection) -> None:
    """Answer the asker until it hangs up. Runs in a process of its own."""
    # An interrupt at the terminal reaches all processes; the command answers for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before anything that takes long: the command may be killed while this imports libraries.
    die_with_parent()
    try:
        task = parent.recv()
        do = make_function()
        while True:
            parent.send((True, do(task)))
            task = parent.recv()
    except EOFError:
        return
    except CrystextError as error:
        parent.send((False, error))
    except Exception:  # Told to the asker, whose fault it then is.
        parent.send((False, traceback.format_exc()))
