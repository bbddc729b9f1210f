"""Workers of a command: processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crystext.runtime.processes import Workers

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|FILE",
        help="Scheduler of a Dask cluster to use instead of this machine, or its scheduler file; "
        "its workers must see the same folders. Needs pip install 'crystext[cluster]'.",
        show_default=False,
    ),
]


@contextmanager
def worker_pool(cluster: str | None, workers: int | None) -> Iterator[Workers]:
    """Yield the requested workers: those of a cluster, or processes, by default one per core.

    Raises:
        SettingError: both are given, or the cluster is invalid.
        RunError: the cluster does not answer.
    """
    from crystext.errors import SettingError
    from crystext.runtime import cluster as clusters
    from crystext.runtime.processes import available_cores

    if cluster is None:
        yield workers or available_cores()
        return

    if workers is not None:
        raise SettingError(
            "--workers and --cluster exclude each other: a cluster brings its own workers"
        )
    with clusters.dask_executor(cluster) as executor:
        yield executor
