"""Batches of a run that several machines draw, each batch into a file of its own.

    run/shards/000000010-000000100.jsonl    a batch, line by line as attempts.jsonl will have it

Which batches a process draws follows from its place among all alone, and what is in a batch from
the settings of the run: however many there are, gathered in order the files are the run that one
process draws. See `run`, which writes and gathers them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from crystext.errors import SettingError
from crystext.generation.sampling_run import SampleBatch, SamplingRun

SHARDS_FOLDER = "shards"


@dataclass(frozen=True)
class Shard:
    """The part of a campaign that one of several processes draws: every count-th batch."""

    index: int
    """From 0."""
    count: int

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    def batches(self, run: SamplingRun) -> list[SampleBatch]:
        """Return the batches that are drawn here; those of all shards together are all."""
        return run.batches()[self.index :: self.count]


def parse_shard(text: str) -> Shard:
    """Read a shard written as K/N, K from 1.

    Raises:
        SettingError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise SettingError(f"{text!r} is no shard; expected K/N with K from 1 to N, such as 2/4")
    return Shard(int(match[1]) - 1, int(match[2]))


def shard_from_environment() -> Shard | None:
    """Return the shard of a process that torchrun or accelerate launched among others, or None.

    They say it by RANK and WORLD_SIZE.

    Raises:
        SettingError: these make no sense.
    """
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if count == "1":
        return None
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise SettingError(
            f"RANK is {rank!r} and WORLD_SIZE {count!r} in the environment; expected whole "
            "numbers, the first below the second, as torchrun sets them; or unset both"
        )
    return Shard(int(rank), int(count))


def batch_file(out: Path, batch: SampleBatch) -> Path:
    """Return where a run directory has a batch that waits to be gathered."""
    return out / SHARDS_FOLDER / f"{batch.start:09d}-{batch.start + batch.size:09d}.jsonl"
