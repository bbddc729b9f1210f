"""Sharing out tasks among processes that may die."""

from functools import partial

import pytest

from crystext.errors import InputError
from crystext.processes import share_out
from tests.chores import halver, opener


def test_a_task_that_kills_its_process_costs_no_other_task():
    tasks = [(f"key {i}", i) for i in (2, 13, 4, 6, 8)]
    answers = dict(share_out(halver, tasks, 2))
    assert answers == {"key 2": 1, "key 13": None, "key 4": 2, "key 6": 3, "key 8": 4}


def test_a_task_is_given_to_another_process_when_one_dies(tmp_path):
    make = partial(opener, tmp_path / "died")
    assert dict(share_out(make, enumerate([7, 8]), 1)) == {0: 7, 1: 8}


def test_what_a_process_refuses_is_refused_here():
    with pytest.raises(InputError, match="-1 is negative"):
        list(share_out(halver, [(0, -1)], 1))


def test_a_fault_of_the_program_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match="in halve"):
        list(share_out(halver, [(0, "two")], 1))
