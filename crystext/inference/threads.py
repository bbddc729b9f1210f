"""Runs small networks on one thread, so that the same seed gives the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crystext.runtime.threads import single_thread

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from crystext.models.plain_llama import PlainLlama

_SINGLE_THREAD_PARAMETERS = 100_000_000
"""Most parameters of a network that runs on one thread: more threads would hardly be faster."""


@contextmanager
def single_thread_if_small(network: PreTrainedModel | PeftModel | PlainLlama) -> Iterator[None]:
    """Run a small network on one thread: sums split over threads round differently."""
    if sum(p.numel() for p in network.parameters()) > _SINGLE_THREAD_PARAMETERS:
        yield
        return
    with single_thread():
        yield
