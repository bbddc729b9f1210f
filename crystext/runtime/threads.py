"""Threads of numerical libraries within one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_thread() -> Iterator[None]:
    """Limit torch to one thread within the context, and restore its setting afterwards.

    For one crystal or a small network two threads are slower, much slower if other processes run;
    and sums split over threads round differently. Without torch imported, nothing changes.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread_for_numpy() -> None:
    """Let numpy multiply matrices on one thread, if it is not imported yet.

    OpenBLAS starts a thread for each core. For the small matrices of single crystals they only wait
    for one another, which takes a tenth of the processor time of sampling.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
