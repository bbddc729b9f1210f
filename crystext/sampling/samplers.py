"""Which sampler draws from a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from crystext.sampling.attempt import Attempt, DrawSettings, Request

if TYPE_CHECKING:
    from crystext.models.load import LoadedModel


class Sampler(Protocol):
    """What draws texts from a model."""

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Draw one text for each index, with random numbers that belong to it and to the redraw."""


def make_sampler(model: LoadedModel, settings: DrawSettings) -> Sampler:
    """Return the fastest sampler that the model and the settings allow.

    A model of a general vocabulary, or one that is drawn from without constraints, goes to a GPU if
    there is one; the others are drawn from on the processor.

    Raises:
        ModelError: the model's vocabulary cannot write a crystal, or knows no end.
    """
    from crystext.grammar.slots import speaks_small_vocabulary
    from crystext.models.device import move_to_gpu
    from crystext.sampling.llama import why_not_plain
    from crystext.sampling.slot_sampler import SlotSampler
    from crystext.sampling.text_sampler import TextSampler

    small = speaks_small_vocabulary(model.tokenizer, model.format)
    if settings.constrained and small and why_not_plain(model.network) is None:
        return SlotSampler(model, settings)
    sampler = TextSampler(model, settings)
    move_to_gpu(model.network)
    return sampler
