"""A Dask cluster as an executor, to distribute work to other machines.

A user starts a scheduler and workers (`dask scheduler`, `dask worker`, dask-jobqueue for the queue
of a computing centre) and gives the address of the scheduler. Tasks are functions of this package
and their arguments, so workers need the same version of it and access to the same folders.

Dask is the extra `cluster`; from Python, any other executor of `concurrent.futures` works as well.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crystext import __version__
from crystext.errors import RunError, SettingError, WorkerDeathError, describe_error

CONNECT_TIMEOUT_S = 20
"""How long to wait for a scheduler and its first worker, in seconds."""


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor that runs tasks on the workers of a Dask cluster.

    Args:
        address: address of the scheduler, as in `tcp://node7:8786`; or the file that `dask
            scheduler --scheduler-file` writes.

    Raises:
        SettingError: Dask is not installed, or the address is invalid.
        RunError: no scheduler answers, it has no worker, or a worker has another version.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingError(
            f"a cluster needs Dask, which cannot be imported ({error}); try pip install "
            "'crystext[cluster]'"
        ) from None
    address = _scheduler_address(address)
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except OSError as error:
        raise RunError(f"{address} does not answer as a Dask scheduler: {error}") from None
    with client:
        _check_workers(client, address)
        yield client.get_executor(pure=False)


def is_worker_death(error: BaseException) -> bool:
    """Return whether an error says that workers died repeatedly while running a task."""
    kind = type(error)
    if isinstance(error, WorkerDeathError):
        return True
    return kind.__name__ == "KilledWorker" and kind.__module__.startswith("distributed.")


def _scheduler_address(address: str) -> str:
    """Return the address of a scheduler, once something answers there.

    A Dask client that has failed to connect takes a minute to close.
    """
    from distributed.comm.addressing import get_address_host_port

    expected = "expected one such as tcp://node7:8786, or the file of a scheduler"
    file = Path(address)
    try:
        if file.is_file():
            address = json.loads(file.read_text(encoding="utf-8"))["address"]
        host, port = get_address_host_port(address, strict=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"--cluster {str(file)!r} says no address of a scheduler ("
            f"{describe_error(error, 'it holds none')}); {expected}"
        ) from None
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise RunError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`"
        ) from None
    return address


def _check_workers(client: Any, address: str) -> None:
    """Wait for a worker, and check that all workers have this version."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
    except TimeoutError:
        raise RunError(
            f"the Dask scheduler at {address} has no worker; start some with `dask worker "
            f"{address} --nthreads 1`"
        ) from None
    for worker, version in client.run(_installed_version, on_error="return").items():
        if version != __version__:
            found = version if isinstance(version, str) else f"none ({version})"
            raise RunError(
                f"the Dask worker {worker} has crystext {found}; expected {__version__}, as here"
            )


def _installed_version() -> str:
    """Return the installed version; runs on a worker."""
    return __version__
