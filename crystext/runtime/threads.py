"""Threads of torch within one process."""

from __future__ import annotations

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
