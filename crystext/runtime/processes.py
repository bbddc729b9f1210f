"""Worker processes that share tasks, where one may die without taking the others along.

Each process holds one thing that is costly to make (a model, a potential, a set of tables) and does
one task at a time with it. Sampling, relaxing and the stages of an evaluation share this one pool:

- a process that dies costs its own task only. `run_tasks` gives that task to a new process, once,
  and then gives it up; `run_in_order` raises an error with the exit code;
- no process outlives the one that started it: they are killed when it stops asking, and end by
  themselves when it is killed, also in the middle of a task;
- an interrupt at the terminal reaches the parent only, which then answers for all.

No library does all three, as tests/runtime/test_processes.py asks for them. With pebble 5.2 (spawn)
both processes of a pool went on with their tasks after the parent was killed; with loky 3.7 they
did too, and one killed process failed all tasks that were not done. A first answer of two processes
took 0.5 s here, 0.8 s with pebble and 0.9 s with loky, at 17, 24 and 20 MB a process.

Processes are spawned, so a calling script needs its `if __name__ == "__main__":`. What was forked
would share locks with threads that do not exist in it.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, as_completed
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from crystext.errors import CrystextError, RunError
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

_MAX_TASKS_AHEAD = 4
"""Tasks per process that may be done before an earlier one: their answers wait in memory."""


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
    remaining = (((key, 1), task) for key, task in tasks)
    retries: list[tuple[tuple[_Key, int], _Task]] = []
    with closing(_Pool[tuple[_Key, int], _Task, _Answer](make_function, workers)) as pool:
        while True:
            while pool.has_capacity:
                item = retries.pop() if retries else next(remaining, None)
                if item is None:
                    break
                pool.submit(*item)
            if not pool.busy:
                return
            for (key, attempt), task, answer in pool.wait():
                if not isinstance(answer, _Death):
                    yield key, answer
                elif attempt < _MAX_DEATHS_PER_TASK:
                    retries.append(((key, attempt + 1), task))
                else:
                    yield key, None


def run_in_order(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[_Task],
    workers: Workers,
    *,
    remedy: str = "try fewer --workers",
) -> Generator[_Answer, None, None]:
    """Yield the answer to each task, in the order of the tasks.

    Close the iterator to kill the processes before they are done.

    Args:
        make_function: see `run_tasks`.
        tasks: taken and handed out one by one. A process that waits for a slower one does not run
            far ahead.
        workers: processes, at most; or an executor, which is given all tasks at once.
        remedy: what to do where a process is killed for want of memory.

    Raises:
        CrystextError: raised by `make_function` or a task, and raised here again.
        RunError: a process died; what was yielded before stands.
        RuntimeError: another error of theirs, with its traceback.
    """
    if isinstance(workers, Executor):
        try:
            yield from workers.map(partial(_make_and_run, make_function), tasks)
        except Exception as error:
            if is_worker_death(error):
                raise RunError(
                    "workers of the cluster died, most likely for want of memory; give each more"
                ) from None
            raise
        return
    remaining = enumerate(tasks)
    early: dict[int, _Answer] = {}
    due = 0
    with closing(_Pool[int, _Task, _Answer](make_function, workers)) as pool:
        while True:
            while pool.has_capacity and len(early) + len(pool.busy) < _MAX_TASKS_AHEAD * workers:
                item = next(remaining, None)
                if item is None:
                    break
                pool.submit(*item)
            if due in early:
                yield early.pop(due)
                due += 1
                continue
            if not pool.busy:
                return
            for place, _, answer in pool.wait():
                if isinstance(answer, _Death):
                    raise RunError(
                        f"a worker process ended with exit code {answer.exit_code} (-9: killed, "
                        f"perhaps for want of memory; {remedy}). What was written so far is kept"
                    )
                early[place] = answer


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


def _make_and_run(make_function: Callable[[], Callable[[_Task], _Answer]], task: _Task) -> _Answer:
    return make_function()(task)


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


@dataclass(frozen=True)
class _Death:
    """What is known of a process that ended without an answer."""

    exit_code: int | None


class _Pool(Generic[_Key, _Task, _Answer]):
    """Processes, each with at most one task; they start when there is a task for them."""

    def __init__(self, make_function: Callable[[], Callable[[_Task], _Answer]], size: int) -> None:
        self.make_function, self.size = make_function, size
        self.idle: list[_WorkerProcess] = []
        self.busy: dict[_WorkerProcess, tuple[_Key, _Task]] = {}

    @property
    def has_capacity(self) -> bool:
        """Whether a process is free, or may be started."""
        return len(self.busy) < self.size

    def submit(self, key: _Key, task: _Task) -> None:
        """Give a task to a free process."""
        process = self.idle.pop() if self.idle else _WorkerProcess(self.make_function)
        self.busy[process] = key, task
        process.send(task)

    def wait(self) -> Iterator[tuple[_Key, _Task, _Answer | _Death]]:
        """Wait until a process has answered or died, and yield what became of its task.

        Raises:
            CrystextError, RuntimeError: what a process failed with.
        """
        ready = connection.wait([process.connection for process in self.busy])
        for process in [process for process in self.busy if process.connection in ready]:
            key, task = self.busy[process]
            answer = process.receive()
            del self.busy[process]
            if not isinstance(answer, _Death):
                self.idle.append(process)
            yield key, task, answer

    def close(self) -> None:
        """Kill all processes."""
        for process in (*self.idle, *self.busy):
            process.kill()
        for process in (*self.idle, *self.busy):
            process.join()


class _WorkerProcess:
    """A process, and the connection to it."""

    def __init__(self, make_function: Callable[[], Callable[[Any], Any]]) -> None:
        context = get_context("spawn")
        self.connection, far_end = context.Pipe()
        self._process = context.Process(
            target=_run_worker, args=(make_function, far_end), daemon=True, name="crystext-worker"
        )
        with one_thread_per_process():
            self._process.start()
        far_end.close()

    def send(self, task: Any) -> None:
        # A process that is dead already is found out when its answer is waited for.
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Any:
        try:
            done, answer = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            self.join()
            return _Death(self._process.exitcode)
        if done:
            return answer
        if isinstance(answer, CrystextError):
            raise answer
        raise RuntimeError(f"a process failed:\n{answer}")

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
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
