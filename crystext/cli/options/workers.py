"""Who does the work of a command: processes of this machine, or a cluster."""

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
        help="Scheduler of a Dask cluster that works instead of this machine, or its file; its "
        "workers see the same folders. Needs pip install 'crystext[cluster]'.",
        show_default=False,
    ),
]


@contextmanager
def worker_pool(cluster: str | None, workers: int | None) -> Iterator[Workers]:
    """Lend the workers that are asked for: those of a cluster, or processes, one a core by default.

    Raises:
        SettingError: both are asked for, or the cluster is none.
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
            "--workers and --cluster exclude each other: a cluster has the workers that it has"
        )
    with clusters.dask_executor(cluster) as executor:
        yield executor
