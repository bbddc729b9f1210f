"""Generates texts from any model for any request; all sampling of the package goes through it.

`TextGenerator` takes, for the format of each request, the fastest sampler that the model and the
settings allow: `crystal_vocabulary_sampler` for models with the crystal vocabulary, and
`any_tokenizer_sampler` for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from crystext.errors import SettingError
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.layout import ModelFolder
from crystext.runtime.registry import Registry
from crystext.text import Format

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel
    from crystext.models.plain_llama import PlainLlama

OWN_VOCABULARIES = {
    "coordinates": "crystext.inference.coordinate_reader:CoordinateVocabulary",
    "wyckoff": "crystext.inference.wyckoff_reader:WyckoffVocabulary",
}
"""The vocabularies of this package, whatever else is installed."""

VOCABULARIES: Registry[Any] = Registry(
    "vocabulary",
    type,
    OWN_VOCABULARIES,
    plural="vocabularies",
)
"""Classes that implement `text_batch.Vocabulary`."""


class Sampler(Protocol):
    """Samples texts from a model."""

    def draw(
        self,
        request: Request,
        indices: Sequence[int],
        *,
        redraw: int = 0,
        wanted: int | None = None,
    ) -> list[Attempt]:
        """Sample one text for each index, with separate random numbers for each redraw.

        Only the texts of the first `wanted` indices are returned; None is all.
        """


@runtime_checkable
class StreamingSampler(Protocol):
    """A sampler whose texts do not depend on the others of their batch."""

    def stream(
        self, request: Request, batches: Iterable[Sequence[int] | None]
    ) -> Iterator[list[Attempt]]:
        """Yield one text for each index of batches, in order; raises what `draw` raises.

        Args:
            request: prompt and constraints of the texts.
            batches: indices of texts, taken as there is room for more; texts of several batches can
                grow together. None says that no other batch is there yet.
        """


class TextGenerator:
    """A model, ready to generate texts."""

    def __init__(
        self,
        model: LoadedModel | ModelFolder,
        settings: SamplingSettings,
        *,
        in_place: bool = False,
    ) -> None:
        """Take a model; samplers are created when they are needed.

        Args:
            model: to sample from; of a folder, only what the samplers need is loaded.
            settings: sampling settings.
            in_place: whether the network runs unchanged on its device, without a converted copy:
                for networks too large to be held twice.
        """
        self.settings, self._in_place = settings, in_place
        self._source = model
        self._samplers: dict[Format, Sampler] = {}

    @cached_property
    def model(self) -> LoadedModel:
        """The model in memory; raises what `load_model` raises."""
        from crystext.models.load import load_model

        if isinstance(self._source, ModelFolder):
            return load_model(self._source)
        return self._source

    @cached_property
    def format(self) -> Format:
        """The model's own format."""
        if isinstance(self._source, ModelFolder):
            return self._source.description.format
        return self._source.format

    @cached_property
    def _without_transformers(self) -> SamplingModel | None:
        """The model as read without transformers; None where another sampler needs all of it."""
        from crystext.inference.sampling_model import read_sampling_model

        if self._in_place or not self.settings.constrained:
            return None
        if isinstance(self._source, ModelFolder):
            return read_sampling_model(self._source)
        return None

    @property
    def network(self) -> PreTrainedModel | PeftModel | PlainLlama:
        """The network that is sampled, where it is a plain LLaMA as it was read."""
        light = self._without_transformers
        return self.model.network if light is None else light.network

    def sampler(self, fmt: Format | None = None) -> Sampler:
        """Return the sampler of a format; None is the model's own.

        Raises:
            ModelError: the model's vocabulary cannot write a crystal, or has no end-of-sequence
                token.
            SettingError: the model writes another format.
        """
        fmt = self.format if fmt is None else fmt
        if fmt not in self._samplers:
            self._samplers[fmt] = self._make_sampler(fmt)
        return self._samplers[fmt]

    def draw(
        self,
        request: Request,
        indices: Sequence[int],
        *,
        redraw: int = 0,
        wanted: int | None = None,
    ) -> list[Attempt]:
        """Sample one text for each index, in one batch.

        Args:
            request: prompt and constraints of the texts.
            indices: of the texts; with the seed they determine the random numbers.
            redraw: how often the texts were sampled before; each time has separate random numbers.
            wanted: how many texts are returned, of the first indices; None is all. The others are
                part of the batch, so that a text does not depend on this number.

        Raises:
            ModelError: the texts could exceed the model's number of positions; or as `sampler`.
            SettingError: no text can satisfy the request; or as `sampler`.
        """
        return self.sampler(request.format).draw(request, indices, redraw=redraw, wanted=wanted)

    def draw_batches(
        self, request: Request, count: int, batch_size: int
    ) -> Iterator[list[Attempt]]:
        """Yield texts of the indices below `count`, in batches; raises what `draw` raises."""
        for start in range(0, count, batch_size):
            yield self.draw(request, range(start, min(count, start + batch_size)))

    def streaming_sampler(self, fmt: Format | None) -> StreamingSampler | None:
        """Return the sampler of a format if it can stream texts; raises what `sampler` raises."""
        sampler = self.sampler(fmt)
        return sampler if isinstance(sampler, StreamingSampler) else None

    def _make_sampler(self, fmt: Format) -> Sampler:
        """Return the fastest sampler of a format.

        A model with a general vocabulary, or sampling without constraints, runs on a GPU if
        available; the others run on the CPU.
        """
        if fmt != self.format and fmt.template == self.format.template:
            raise SettingError(
                f"the format {fmt.name} is requested, but the model writes {self.format.name}; "
                "leave the format out"
            )
        if (sampler := self._plain_sampler(fmt)) is not None:
            return sampler
        from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
        from crystext.inference.crystal_vocabulary_sampler import BatchSampler
        from crystext.models.plain_llama import why_unsupported
        from crystext.runtime.device import move_to_gpu

        model, settings = self.model, self.settings
        if self._in_place:
            return AnyTokenizerSampler(model, settings, fmt)
        if settings.constrained and why_unsupported(model.network) is None:
            for vocabulary in VOCABULARIES.values():
                if vocabulary.fits(model, fmt):
                    return BatchSampler(model, settings, vocabulary(model, fmt))
        sampler = AnyTokenizerSampler(model, settings, fmt)
        move_to_gpu(model.network)
        return sampler

    def _plain_sampler(self, fmt: Format) -> Sampler | None:
        """Return the sampler of a plain LLaMA that is not in memory; None where there is none.

        Only the vocabularies of the package are asked: those of others may need the whole model.
        """
        from crystext.inference.crystal_vocabulary_sampler import BatchSampler

        if (model := self._without_transformers) is None:
            return None
        for name in OWN_VOCABULARIES:
            vocabulary = VOCABULARIES[name]
            if vocabulary.fits(model, fmt):
                return BatchSampler(model, self.settings, vocabulary(model, fmt))
        return None
