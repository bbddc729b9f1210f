"""Sharing out tasks among processes that may die."""

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from crystext.errors import InputError
from crystext.runtime.processes import run_tasks
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
