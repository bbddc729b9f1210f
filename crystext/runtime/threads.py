"""Threads of torch within one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_thread() -> Iterator[None]:
    """Have torch calculate with one thread, and as before afterwards.

    For one crystal or a small network two threads are slower, by far if other processes work; and
    sums that are split over threads round otherwise. Where torch is not imported, nothing changes.
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
