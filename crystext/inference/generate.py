"""Generates texts from any model for any request; all sampling of the package goes through it.

`TextGenerator` takes, for the format of each request, the fastest sampler that the model and the
settings allow: `crystal_vocabulary_sampler` for models with the crystal vocabulary, and
`any_tokenizer_sampler` for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from crystext.errors import SettingError
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.runtime.registry import Registry
from crystext.text import Format

if TYPE_CHECKING:
    from crystext.models.load import LoadedModel

VOCABULARIES: Registry[Any] = Registry(
    "vocabulary",
    type,
    {
        "coordinates": "crystext.inference.coordinate_reader:CoordinateVocabulary",
        "wyckoff": "crystext.inference.wyckoff_reader:WyckoffVocabulary",
    },
    plural="vocabularies",
)
"""Classes that implement `crystal_vocabulary_sampler.Vocabulary`."""


class Sampler(Protocol):
    """Samples texts from a model."""

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Sample one text for each index, with separate random numbers for each redraw."""


class TextGenerator:
    """A model, ready to generate texts."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, *, in_place: bool = False
    ) -> None:
        """Take a model; samplers are created when they are needed.

        Args:
            model: to sample from.
            settings: sampling settings.
            in_place: whether the network runs unchanged on its device, without a converted copy:
                for networks too large to be held twice.
        """
        self.model, self.settings, self._in_place = model, settings, in_place
        self._samplers: dict[Format, Sampler] = {}

    def sampler(self, fmt: Format | None = None) -> Sampler:
        """Return the sampler of a format; None is the model's own.

        Raises:
            ModelError: the model's vocabulary cannot write a crystal, or has no end-of-sequence
                token.
            SettingError: the model writes another format.
        """
        fmt = self.model.format if fmt is None else fmt
        if fmt not in self._samplers:
            self._samplers[fmt] = self._make_sampler(fmt)
        return self._samplers[fmt]

    def draw(self, request: Request, indices: Sequence[int], *, redraw: int = 0) -> list[Attempt]:
        """Sample one text for each index, in one batch.

        Args:
            request: prompt and constraints of the texts.
            indices: of the texts; with the seed they determine the random numbers.
            redraw: how often the texts were sampled before; each time has separate random numbers.

        Raises:
            ModelError: the texts could exceed the model's number of positions; or as `sampler`.
            SettingError: no text can satisfy the request; or as `sampler`.
        """
        return self.sampler(request.format).draw(request, indices, redraw=redraw)

    def draw_batches(
        self, request: Request, count: int, batch_size: int
    ) -> Iterator[list[Attempt]]:
        """Yield texts of the indices below `count`, in batches; raises what `draw` raises."""
        for start in range(0, count, batch_size):
            yield self.draw(request, range(start, min(count, start + batch_size)))

    def _make_sampler(self, fmt: Format) -> Sampler:
        """Return the fastest sampler of a format.

        A model with a general vocabulary, or sampling without constraints, runs on a GPU if
        available; the others run on the CPU.
        """
        from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
        from crystext.inference.cpu_llama import why_unsupported
        from crystext.inference.crystal_vocabulary_sampler import BatchSampler
        from crystext.runtime.device import move_to_gpu

        model, settings = self.model, self.settings
        if fmt != model.format and fmt.template == model.format.template:
            raise SettingError(
                f"the format {fmt.name} is requested, but the model writes {model.format.name}; "
                "leave the format out"
            )
        if self._in_place:
            return AnyTokenizerSampler(model, settings, fmt)
        if settings.constrained and why_unsupported(model.network) is None:
            for vocabulary in VOCABULARIES.values():
                if vocabulary.fits(model, fmt):
                    return BatchSampler(model, settings, vocabulary(model, fmt))
        sampler = AnyTokenizerSampler(model, settings, fmt)
        move_to_gpu(model.network)
        return sampler
