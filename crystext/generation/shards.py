"""Batches of a run that several machines sample, each batch into its own file.

    run/shards/000000010-000000100.jsonl    a batch, line by line as attempts.jsonl will have it

The batches of a process follow from its rank alone, and the contents of a batch from the settings
of the run. Gathered in order, the files equal the run of a single process, whatever the number of
processes. See `run`, which writes and gathers them.
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
    """The part of a run that one of several processes samples: every count-th batch."""

    index: int
    """From 0."""
    count: int

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    def batches(self, run: SamplingRun) -> list[SampleBatch]:
        """Return the batches of this shard; all shards together have all batches."""
        return run.batches()[self.index :: self.count]


def parse_shard(text: str) -> Shard:
    """Read a shard written as K/N, K from 1.

    Raises:
        SettingError: the text is not a shard.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise SettingError(f"{text!r} is not a shard; expected K/N with K from 1 to N, such as 2/4")
    return Shard(int(match[1]) - 1, int(match[2]))


def shard_from_environment() -> Shard | None:
    """Return the shard of a process that torchrun or accelerate launched among others, or None.

    The rank comes from RANK and WORLD_SIZE.

    Raises:
        SettingError: these are invalid.
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
    """Return the path of a batch that waits to be gathered."""
    return out / SHARDS_FOLDER / f"{batch.start:09d}-{batch.start + batch.size:09d}.jsonl"
