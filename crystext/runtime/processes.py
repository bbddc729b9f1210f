"""A pool of worker processes in which one may die without affecting the others.

Each process holds one object that is costly to make (a model, a potential, a set of tables) and
runs one task at a time with it. Sampling, relaxing and the stages of an evaluation share this pool:

- a process that dies loses only its own task. `run_tasks` gives that task to a new process, once,
  and then gives it up; `run_in_order` raises an error with the exit code;
- no process outlives its parent: the parent kills the processes when its iterator is closed, and
  they exit by themselves when the parent is killed, even in the middle of a task;
- an interrupt at the terminal reaches only the parent, which then stops all processes.

No library does all three, as tests/runtime/test_processes.py requires. With pebble 5.2 (spawn)
both processes of a pool continued their tasks after the parent was killed; with loky 3.7 they
did too, and one killed process failed all unfinished tasks. The first answers of two processes
took 0.5 s here, 0.8 s with pebble and 0.9 s with loky, at 17, 24 and 20 MB a process.

Processes are spawned, so a calling script needs its `if __name__ == "__main__":`. A forked process
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
from crystext.runtime.garbage import collect_rarely

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_Key = TypeVar("_Key")
_Task = TypeVar("_Task")
_Answer = TypeVar("_Answer")

Workers: TypeAlias = int | Executor
"""A number of local processes; or any executor, such as that of a cluster."""

MAX_DEATHS_PER_TASK = 2
"""Number of processes that may die while running one task."""

_MISSING_GUARD = (
    "a worker process ended with exit code {} while it started. Each worker imports the script "
    "that started it, and runs what the script does when it is imported; put its work under "
    '`if __name__ == "__main__":`'
)

_MAX_TASKS_AHEAD = 4
"""Tasks per process that may finish before an earlier one; their answers wait in memory."""


def run_tasks(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[tuple[_Key, _Task]],
    workers: Workers,
) -> Iterator[tuple[_Key, _Answer | None]]:
    """Yield the key and answer of each task, in the order of completion.

    Close the iterator to kill the processes before they are done.

    Args:
        make_function: called once in each process; returns the function that runs a task. It is
            sent to the process, so it must be a function of a module, or a `functools.partial` of
            one.
        tasks: keys and tasks; local processes consume them as needed, an executor gets all at once.
        workers: maximum number of processes, which start when there are tasks for them; or an
            executor, which has its own.

    Yields:
        Key and answer; the answer is None for a task that killed two processes, or as many as an
        executor allows.

    Raises:
        CrystextError: raised by `make_function` or a task, and raised here again.
        RuntimeError: any other error of theirs, with its traceback. An executor raises the original
            error.
    """
    if isinstance(workers, Executor):
        yield from _run_on_executor(make_function, tasks, workers)
        return
    remaining = (((key, 1), task) for key, task in tasks)
    retries: list[tuple[tuple[_Key, int], _Task]] = []
    with closing(ProcessPool[tuple[_Key, int], _Task, _Answer](make_function, workers)) as pool:
        while True:
            while pool.has_capacity:
                item = retries.pop() if retries else next(remaining, None)
                if item is None:
                    break
                pool.submit(*item)
            if not pool.busy:
                return
            for (key, attempt), task, answer in pool.wait():
                if not isinstance(answer, ProcessDeath):
                    yield key, answer
                elif attempt < MAX_DEATHS_PER_TASK:
                    retries.append(((key, attempt + 1), task))
                else:
                    yield key, None


def run_in_order(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[_Task],
    workers: Workers,
    *,
    remedy: str = "try fewer --workers",
    here: Callable[[_Task], _Answer] | None = None,
) -> Generator[_Answer, None, None]:
    """Yield the answer of each task, in the order of the tasks.

    Close the iterator to kill the processes before they are done.

    Args:
        make_function: see `run_tasks`.
        tasks: taken and handed out one by one. Faster processes do not run far ahead of a slower
            one.
        workers: maximum number of processes; or an executor, which gets all tasks at once.
        remedy: what to do if a process is killed because it ran out of memory.
        here: runs a task in this process. If one or two workers are asked for, this process is one
            of them. Of more it is given only the first task, while they start: they would wait for
            it. None leaves all to the processes.

    Raises:
        CrystextError: raised by `make_function` or a task, and raised here again.
        RunError: a process died; the answers yielded before are valid.
        RuntimeError: any other error of a process, with its traceback.
    """
    if isinstance(workers, Executor):
        yield from _run_in_order_on_executor(make_function, tasks, workers)
        return
    if here is not None and workers == 1:
        yield from map(here, tasks)
        return
    remaining = enumerate(tasks)
    early: dict[int, _Answer] = {}
    due = 0
    first = None if here is None else next(remaining, None)
    is_worker = here is not None and workers == 2
    with closing(ProcessPool[int, _Task, _Answer](make_function, workers - is_worker)) as pool:
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
            if is_worker and first is None:
                first = next(remaining, None)
            own, first = first, None
            if here is not None and own is not None:
                early[own[0]] = here(own[1])
            elif not pool.busy:
                return
            for place, _, answer in pool.wait(None if own is None else 0.0):
                early[place] = _answer_of_living(answer, remedy)


def _answer_of_living(answer: _Answer | ProcessDeath, remedy: str) -> _Answer:
    if isinstance(answer, ProcessDeath):
        raise RunError(
            f"a worker process ended with exit code {answer.exit_code} (-9: killed, perhaps out of "
            f"memory; {remedy}). Results written so far are kept"
        )
    return answer


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


def _run_in_order_on_executor(
    make_function: Callable[[], Callable[[_Task], _Answer]],
    tasks: Iterable[_Task],
    executor: Executor,
) -> Iterator[_Answer]:
    try:
        yield from executor.map(partial(_make_and_run, make_function), tasks)
    except Exception as error:
        if is_worker_death(error):
            raise RunError(
                "workers of the cluster died, most likely out of memory; give each more"
            ) from None
        raise


def _make_and_run(make_function: Callable[[], Callable[[_Task], _Answer]], task: _Task) -> _Answer:
    return make_function()(task)


def _run_one_task(make_function: Callable[[], Callable[[_Task], _Answer]], task: _Task) -> _Answer:
    # Each task brings a copy of `make_function`: partials of one function with the same arguments
    # share one cache entry.
    thread = threading.get_ident()
    if isinstance(make_function, partial):
        keywords = tuple(sorted(make_function.keywords.items()))
        return _cached_function(thread, make_function.func, make_function.args, keywords)(task)  # type: ignore[no-any-return]
    return _cached_function(thread, make_function, (), ())(task)  # type: ignore[no-any-return]


@cache
def _cached_function(
    thread: int,  # One function per thread: a potential runs one calculation at a time.
    function: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...],
    keywords: tuple[tuple[str, Any], ...],
) -> Callable[[Any], Any]:
    return function(*arguments, **dict(keywords))


@dataclass(frozen=True)
class _Started:
    """Says that a process has imported the script and waits for tasks."""


@dataclass(frozen=True)
class ProcessDeath:
    """The end of a process without an answer."""

    exit_code: int | None


class ProcessPool(Generic[_Key, _Task, _Answer]):
    """Processes, each with at most one task; they start when there is a task for them."""

    def __init__(self, make_function: Callable[[], Callable[[_Task], _Answer]], size: int) -> None:
        self.make_function, self.size = make_function, size
        self.idle: list[_WorkerProcess] = []
        self.busy: dict[_WorkerProcess, tuple[_Key, _Task]] = {}

    @property
    def has_capacity(self) -> bool:
        """Whether a process is idle or may be started."""
        return len(self.busy) < self.size

    def submit(self, key: _Key, task: _Task) -> None:
        """Give a task to an idle process."""
        process = self.idle.pop() if self.idle else _WorkerProcess(self.make_function)
        self.busy[process] = key, task
        process.send(task)

    def wait(
        self, timeout: float | None = None
    ) -> Iterator[tuple[_Key, _Task, _Answer | ProcessDeath]]:
        """Wait until a process answers or dies, and yield the result of its task.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            CrystextError, RuntimeError: the error of a process.
            RunError: a process could not start.
        """
        ready = connection.wait([process.connection for process in self.busy], timeout)
        for process in [process for process in self.busy if process.connection in ready]:
            key, task = self.busy[process]
            answer = process.receive()
            if isinstance(answer, _Started):
                continue
            del self.busy[process]
            if not isinstance(answer, ProcessDeath):
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
        self._has_started = False

    def send(self, task: Any) -> None:
        # A process that is already dead is detected when its answer is received.
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Any:
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            self.join()
            code = self._process.exitcode
            if not self._has_started and code is not None and code >= 0:
                # Not killed: it ended by itself while it imported the script.
                raise RunError(_MISSING_GUARD.format(code)) from None
            return ProcessDeath(code)
        if isinstance(message, _Started):
            self._has_started = True
            return message
        done, answer = message
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
    """Return how many cores this process may use; 1 if the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def one_thread_per_process() -> Iterator[None]:
    """Limit processes started within to one thread for numerics, since they share the cores.

    NumPy's libraries read the limit when they are imported, before a process runs anything.
    """
    with environment_variable("OMP_NUM_THREADS", "1"):
        yield


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for this process and those started within."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def die_with_parent() -> None:
    """End this process when its parent ends, however it ends."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _run_worker(make_function: Callable[[], Callable[[Any], Any]], parent: Connection) -> None:
    """Run the parent's tasks until it closes the connection. Runs in the worker process."""
    # An interrupt at the terminal reaches all processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before anything slow: the parent may be killed while this process imports libraries.
    die_with_parent()
    collect_rarely()
    try:
        parent.send(_Started())
        task = parent.recv()
        do = make_function()
        while True:
            parent.send((True, do(task)))
            task = parent.recv()
    except EOFError:
        return
    except CrystextError as error:
        parent.send((False, error))
    except Exception:  # Sent to the parent, which raises it.
        parent.send((False, traceback.format_exc()))
