"""Which sampler draws from a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from crystext.errors import SettingError
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.text import Format

if TYPE_CHECKING:
    from crystext.models.load import LoadedModel


class Sampler(Protocol):
    """What draws texts from a model."""

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Draw one text for each index, with random numbers that belong to it and to the redraw."""


def make_sampler(
    model: LoadedModel, settings: SamplingSettings, fmt: Format | None = None
) -> Sampler:
    """Return the fastest sampler that the model and the settings allow.

    A model of a general vocabulary, or one that is drawn from without constraints, goes to a GPU if
    there is one; the others are drawn from on the processor.

    Args:
        model: to draw from.
        settings: how to draw.
        fmt: the format of the texts; None is the model's own.

    Raises:
        ModelError: the model's vocabulary cannot write a crystal, or knows no end.
        SettingError: the model writes another format.
    """
    from crystext.grammar.token_reader import has_crystal_vocabulary
    from crystext.grammar.wyckoff.token_reader import has_wyckoff_vocabulary
    from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
    from crystext.inference.coordinate_sampler import CoordinateSampler
    from crystext.inference.fast_llama import why_unsupported
    from crystext.inference.wyckoff_sampler import WyckoffSampler
    from crystext.runtime.device import move_to_gpu

    fmt = model.format if fmt is None else fmt
    if fmt != model.format and not fmt.is_wyckoff:
        raise SettingError(
            f"the format {fmt.name} is asked for, and the model writes {model.format.name}; leave "
            "the format out"
        )
    if settings.constrained and why_unsupported(model.network) is None:
        if has_crystal_vocabulary(model.tokenizer, fmt):
            return CoordinateSampler(model, settings)
        if has_wyckoff_vocabulary(model.tokenizer, fmt):
            return WyckoffSampler(model, settings, fmt)
    sampler = AnyTokenizerSampler(model, settings, fmt)
    move_to_gpu(model.network)
    return sampler
