"""The default number of sampling processes, limited by processors, memory and work."""

from __future__ import annotations

import os
from pathlib import Path

from crystext.models.layout import ModelFolder, open_model
from crystext.runtime.processes import available_cores

_OVERHEAD_BYTES = 800_000_000
"""Memory of a process besides the weights: torch, and the keys and values of a batch of 250
texts."""
_WEIGHT_COPIES = 2
"""The weights as read, and as laid out for sampling."""
_LARGE_MODEL_BYTES = 500_000_000
"""Size of the weights above which a model is sampled on a GPU, if there is one, by one process."""


def default_workers(source: str | Path | ModelFolder, parallel_units: int) -> int:
    """Return the number of processes: one per processor, limited by memory and full batches.

    Each is estimated at 0.8 GB and twice the model's weights. A large model is sampled by one
    process if there is a GPU.

    Raises:
        ModelError: the model does not exist.
    """
    weights = open_model(source).weight_bytes(with_base=True)
    if weights > _LARGE_MODEL_BYTES:
        import torch

        if torch.cuda.is_available():
            return 1
    each = _OVERHEAD_BYTES + _WEIGHT_COPIES * weights
    return max(1, min(available_cores(), parallel_units, available_bytes() // each))


def available_bytes() -> int:
    """Return the memory that processes can still take: the machine's, or less in a container."""
    free = _machine_bytes()
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        # Cached files count as used there, but can be evicted.
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        # No limit, which is then the word `max`, or a system without such files.
        pass
    return max(0, free)


def _machine_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
