"""Processes that stay between calls."""

from __future__ import annotations

import os

import psutil
import pytest

from crystext.errors import InputError
from crystext.runtime.local_executor import LocalExecutor
from crystext.runtime.processes import run_in_order, run_tasks
from tests.process_tasks import halve_loader


def test_processes_stay_and_one_that_dies_costs_its_task_alone():
    with LocalExecutor(1) as executor:
        assert dict(run_tasks(halve_loader, [(0, 4)], executor)) == {0: 2}
        (process,) = children()
        assert list(run_in_order(halve_loader, [6, 8], executor)) == [3, 4]
        assert children() == [process]
        assert dict(run_tasks(halve_loader, [("dies", 13), ("stays", 2)], executor)) == {
            "dies": None,
            "stays": 1,
        }
        with pytest.raises(InputError, match="-1 is negative"):
            list(run_tasks(halve_loader, [(0, -1)], executor))
    assert children() == []
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(os.getpid)


def children() -> list[int]:
    """Return the workers of this process."""
    return [
        child.pid
        for child in psutil.Process().children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
