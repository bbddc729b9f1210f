"""Sharing out tasks among processes that may die."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from crystext.errors import InputError, RunError
from crystext.runtime.processes import run_in_order, run_tasks
from tests.process_tasks import dies_once, halve_loader


def test_a_task_that_kills_its_process_costs_no_other_task():
    tasks = [(f"key {i}", i) for i in (2, 13, 4, 6, 8)]
    answers = dict(run_tasks(halve_loader, tasks, 2))
    assert answers == {"key 2": 1, "key 13": None, "key 4": 2, "key 6": 3, "key 8": 4}


def test_a_task_is_given_to_another_process_when_one_dies(tmp_path):
    make = partial(dies_once, tmp_path / "died")
    assert dict(run_tasks(make, enumerate([7, 8]), 1)) == {0: 7, 1: 8}


def test_what_a_process_refuses_is_refused_here():
    with pytest.raises(InputError, match="-1 is negative"):
        list(run_tasks(halve_loader, [(0, -1)], 1))


def test_a_fault_of_the_program_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match="in halve"):
        list(run_tasks(halve_loader, [(0, "two")], 1))


def sleeper():
    return sleep_and_return


def sleep_and_return(seconds):
    time.sleep(seconds)
    return seconds


@pytest.mark.parametrize("call", ["run_tasks", "run_in_order"])
def test_a_script_that_works_when_it_is_imported_is_told_what_it_lacks(tmp_path, call):
    tasks = "[(0, 2), (1, 4)]" if call == "run_tasks" else "[2, 4]"
    work = f"print(list({call}(halve_loader, {tasks}, 2)))\n"
    head = (
        f"from crystext.runtime.processes import {call}\n"
        "from tests.process_tasks import halve_loader\n"
    )

    def ran(script):
        path = tmp_path / "script.py"
        path.write_text(script)
        command = [sys.executable, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    ended = ran(head + work)
    assert ended.returncode == 1
    assert 'put its work under `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
    assert "out of memory" not in ended.stderr
    ended = ran(head + 'if __name__ == "__main__":\n    ' + work)
    assert ended.returncode == 0, ended.stderr


def test_answers_come_in_the_order_of_their_tasks():
    tasks = [0.5, 0.0, 0.1, 0.0]
    assert list(run_in_order(sleeper, tasks, 2)) == tasks


def test_a_process_does_not_run_far_ahead_of_a_slower_one(tmp_path):
    """What waits lies in memory."""
    tasks = [str(tmp_path / f"{i}") for i in range(20)]
    answers = run_in_order(waits_for_last, tasks, 2)
    deadline = time.monotonic() + 60
    first = threading.Thread(target=lambda: next(answers))
    first.start()
    while len(list(tmp_path.iterdir())) < 7 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == 7, "4 a process, less the one that is waited for"
    (tmp_path / "go").touch()
    first.join()
    assert list(answers) == tasks[1:]


def waits_for_last():
    """Return a task that leaves a file; the first waits for the file `go`."""

    def task(path):
        if Path(path).name == "0":
            while not Path(path).with_name("go").exists():
                time.sleep(0.05)
        else:
            Path(path).touch()
        return path

    return task


def own_id():
    return lambda task: (task, os.getpid())


def run_here(task):
    return (task, os.getpid(), "here")


def test_the_first_task_may_run_in_this_process_while_others_start():
    answers = list(run_in_order(own_id, range(4), 3, here=run_here))
    assert [answer[0] for answer in answers] == [0, 1, 2, 3]
    assert answers[0] == (0, os.getpid(), "here")
    assert os.getpid() not in [answer[1] for answer in answers[1:]]


def test_of_two_workers_this_process_is_one():
    answers = list(run_in_order(own_id, range(4), 2, here=run_here))
    assert [answer[0] for answer in answers] == [0, 1, 2, 3]
    others = {answer[1] for answer in answers if len(answer) == 2}
    assert len(others) == 1
    assert os.getpid() not in others


@pytest.mark.parametrize(("tasks", "workers"), [([7], 2), ([7, 8, 9], 1), ([], 2), ([], 1)])
def test_a_single_task_or_worker_needs_no_process(tasks, workers):
    before = psutil.Process().children(recursive=True)
    answers = list(run_in_order(own_id, tasks, workers, here=run_here))
    assert answers == [(task, os.getpid(), "here") for task in tasks]
    assert psutil.Process().children(recursive=True) == before


def test_a_killed_process_is_told_with_its_exit_code():
    answers = run_in_order(halve_loader, [2, 13, 4], 1, remedy="buy memory")
    assert next(answers) == 1
    with pytest.raises(RunError, match=r"exit code -9 \(-9: killed, .*buy memory\)"):
        list(answers)


def test_processes_end_when_their_parent_is_killed():
    """Also in the middle of a task, from which they never return."""
    script = (
        "from tests.runtime.test_processes import sleeper\n"
        "from crystext.runtime.processes import run_tasks\n"
        "if __name__ == '__main__':\n    list(run_tasks(sleeper, [(0, 0.0), (1, 3600)], 1))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    children = []
    while len(children) < 2 and time.monotonic() < deadline:  # One is the resource tracker.
        time.sleep(0.1)
        children = psutil.Process(parent.pid).children(recursive=True)
    time.sleep(1)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def namer():
    """Return a chore that returns what it alone has, once another has begun as well."""
    own = object()

    def chore(barrier):
        barrier.wait(timeout=60)
        return own

    return chore


def test_each_thread_of_an_executor_has_its_own():
    """A potential, for one, calculates one thing at a time."""
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as executor:
        found = dict(run_tasks(namer, enumerate([barrier, barrier]), executor))
    assert found[0] != found[1]


def adder(makes, by):
    with Path(makes).open("a") as file:
        file.write(f"{by} ")
    return partial(add, by)


def add(a, b):
    return a + b


def test_an_executor_does_the_same_and_makes_what_does_it_once(tmp_path):
    """In each process, though each task brings a partial of its own."""
    makes = str(tmp_path / "makes")
    tasks = [(i, 10 * i) for i in range(5)]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor:
        for by in (3, 4):
            found = dict(run_tasks(partial(adder, makes, by), tasks, executor))
            assert found == {i: 10 * i + by for i in range(5)}
        assert dict(run_tasks(halve_loader, tasks, executor)) == {i: 5 * i for i in range(5)}
    assert Path(makes).read_text() == "3 4 "
