"""Work that a Dask cluster does: a scheduler and two workers, in processes of their own."""

import json
import os
import subprocess
import sys
import time

import pytest

from crystext.energies.relaxation_run import relax_all
from crystext.errors import InputError, RunError, SettingError
from crystext.io.write import extxyz
from crystext.runtime.cluster import dask_executor
from crystext.runtime.processes import run_tasks
from crystext.structures.crystal import Crystal
from crystext.structures.matching import map_groups
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.process_tasks import COPPER, emt, halve, halve_loader

pytest.importorskip("distributed", reason="Dask is not installed")


def dask(kind, *arguments, root, failures=3):
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
    main = f"from distributed.cli.dask_{kind} import main; main()"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", main, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(root), **allowed},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def scheduler(root, tmp_path_factory):
    """The file of a scheduler that has two workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    here = ("--scheduler-file", file, "--host", "127.0.0.1", "--no-dashboard")
    places = ("--local-directory", folder, "--nthreads", 1, "--memory-limit", 0)
    # A task over which a worker has died is given up; by default it takes four of them.
    crew = [dask("scheduler", *here, "--port", 0, root=root, failures=0)]
    crew += [dask("worker", *here, *places, root=root) for _ in range(2)]
    try:
        ends = time.monotonic() + 60
        while not (file.exists() and file.read_text()):
            assert crew[0].poll() is None, "the scheduler has ended"
            assert time.monotonic() < ends, "the scheduler has not begun within a minute"
            time.sleep(0.1)
        yield file
    finally:
        for process in crew:
            process.kill()
            process.wait()


def test_tasks_are_done_and_faults_come_back(scheduler):
    with dask_executor(str(scheduler)) as executor:
        assert dict(run_tasks(halve_loader, enumerate([8, 6, 4]), executor)) == {0: 4, 1: 3, 2: 2}
        groups = list(range(1000))
        assert map_groups(str, groups, executor, largest_first=True) == [str(i) for i in groups]
        with pytest.raises(InputError, match="-1 is negative"):
            list(run_tasks(halve_loader, [(0, -1)], executor))


def test_a_task_that_kills_its_worker_is_given_up(scheduler):
    with dask_executor(str(scheduler)) as executor:
        assert dict(run_tasks(halve_loader, [("deadly", 13)], executor)) == {"deadly": None}
        with pytest.raises(RunError, match="workers of the cluster died"):
            map_groups(halve, [13], executor)
        assert dict(run_tasks(halve_loader, [("next", 4)], executor)) == {"next": 2}


def test_crystals_are_relaxed_as_by_processes_of_this_machine(scheduler, tmp_path):
    crystals = {
        i: Crystal(COPPER.lengths * (1 + i / 50), COPPER.angles, COPPER.numbers, COPPER.positions)
        for i in range(6)
    }
    own = relax_all(crystals, tmp_path / "own", potential=emt, workers=1)
    address = json.loads(scheduler.read_text())["address"]
    with dask_executor(address) as executor:
        lent = relax_all(crystals, tmp_path / "lent", potential=emt, workers=executor)
    assert [lent[i].crystal for i in crystals] == [own[i].crystal for i in crystals]


def test_the_command_line_takes_a_cluster(cli, scheduler, tmp_path):
    (tmp_path / "in.extxyz").write_text(
        "".join(extxyz(x, name) for name, x in EXAMPLE_CRYSTALS.items())
    )
    command = ("evaluate", "in.extxyz", "--protocol", "mp20", "--only", "validity,novelty")
    for name, of in (("own", ("--workers", 1)), ("lent", ("--cluster", scheduler))):
        ended = cli(*command, "--out", name, *of, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    own, lent = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("own", "lent")
    )
    assert own["funnel"] == lent["funnel"]


def test_what_is_no_cluster_is_refused(cli_refuses, tmp_path):
    (tmp_path / "in.extxyz").write_text(extxyz(EXAMPLE_CRYSTALS["nacl"], "nacl"))
    for command in (("evaluate", "in.extxyz", "--protocol", "mp20"), ("relax", "in.extxyz")):
        asked = (*command, "--out", "out", "--cluster")
        assert "expected one such as tcp://node7:8786" in cli_refuses(*asked, "node7", cwd=tmp_path)
        both = cli_refuses(*asked, "tcp://node7:8786", "--workers", 2, cwd=tmp_path)
        assert "--workers and --cluster exclude each other" in both
    with (
        pytest.raises(RunError, match="no Dask scheduler answers"),
        dask_executor("tcp://127.0.0.1:9"),
    ):
        pass
    (tmp_path / "scheduler.json").write_text("{}")
    with (
        pytest.raises(SettingError, match="says no address"),
        dask_executor(str(tmp_path / "scheduler.json")),
    ):
        pass
