"""What a campaign is to draw, and in which batches. Draws nothing and touches no file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.generation.requests import make_request, resolve_settings
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.models.layout import ModelFolder, model_hash, open_model
from crystext.runtime.validate import whole_number
from crystext.tasks.prompts import PromptSet
from crystext.text import Format, get_format

_FIRST_BATCH_ENDS = (10, 100, 250, 500)
"""Where the first batch is cut: a few crystals come soon, and 100 take no more than 100. More cuts
would cost more: on one core, 10 texts take 0.6 s, 90 take 2.3 s and 250 together 3.5 s."""

_TEXTS_PER_WORKER = 250
"""Texts that are worth a process of their own."""

_SMALL_MODEL_BYTES = 256 * 2**20
"""Bytes of weights up to which a model is small: a step takes it as long for a few texts as for
many, and what it remembers of a thousand fits any memory."""


def default_batch_size(model: str | Path | ModelFolder, max_attempts_per_sample: int = 1) -> int:
    """Return how many texts are drawn together where nobody says.

    A thousand with a small model and 250 with others; 50 where each crystal is drawn until it has
    what is asked for, because a batch waits for its last.
    """
    if whole_number("max_attempts_per_sample", max_attempts_per_sample) > 1:
        return 50
    files = open_model(model)
    return 250 if files.is_adapter or files.weight_bytes() > _SMALL_MODEL_BYTES else 1000


class SampleBatch(NamedTuple):
    """Attempts at one request that are drawn together."""

    start: int
    """Index of the first."""
    size: int
    request_index: int
    """Place of the request among those of the campaign."""


@dataclass(frozen=True)
class SamplingRun:
    """How many attempts are wanted of which model, what is asked of them, and how they are drawn.

    Raises:
        SettingError: a number out of range, or settings that make no sense together.
    """

    n: int
    """Attempts for each of the conditions."""
    model: str | ModelFolder
    """`shipped`, a folder or a name on the Hub; or the model as `open_model` opened it."""
    settings: SamplingSettings
    conditions: tuple[Conditions, ...] = (Conditions(),)
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio
    batch_size: int = 250
    max_attempts_per_sample: int = 1
    """Texts that are drawn, at most, until one is a crystal of which all that can be checked is as
    asked for."""
    format: str | None = None
    """Name of the format of the texts; None is the model's own."""

    def __post_init__(self) -> None:
        """Check the ranges, and what can only be seen of all settings together."""
        if self.format is not None:
            get_format(self.format)
        for name in ("n", "batch_size", "max_attempts_per_sample"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        if self.n < 1:
            raise SettingError(f"{self.n} crystals: expected 1 or more")
        if self.batch_size < 1:
            raise SettingError(f"a batch size of {self.batch_size}: expected 1 or more")
        if not 1 <= self.max_attempts_per_sample <= 1000:
            raise SettingError(
                f"{self.max_attempts_per_sample} attempts per sample: expected 1 to 1000"
            )
        if not self.conditions:
            raise SettingError("no conditions are given; for any crystal, give empty ones")
        if self.settings.guidance != 1 and not any(c.prompt_properties() for c in self.conditions):
            raise SettingError(
                "guidance makes the prompt's conditions count for more or less, and there is none "
                "in the prompt; ask for something, or leave guidance at 1"
            )
        if self.max_attempts_per_sample > 1 and not any(c.can_be_checked for c in self.conditions):
            raise SettingError(
                "crystals are to be drawn until they match, and nothing is asked for that could "
                "be checked; ask for something else beside, or draw once"
            )

    @cached_property
    def files(self) -> ModelFolder:
        """The model's folder; raises `ModelError` where there is none."""
        return open_model(self.model)

    @property
    def text_format(self) -> Format | None:
        """The format that is asked for; None is the model's own."""
        return None if self.format is None else get_format(self.format)

    @property
    def total(self) -> int:
        """Attempts in all."""
        return self.n * len(self.conditions)

    @property
    def parallel_units(self) -> int:
        """Parts of the work that are each worth a process."""
        return len(self.conditions) * -(-self.n // min(self.batch_size, _TEXTS_PER_WORKER))

    def batches(self, done: int = 0) -> list[SampleBatch]:
        """Return the batches that hold attempts from the index `done` on, in order."""
        return list(self.iter_batches(done))

    def iter_batches(self, done: int = 0) -> Iterator[SampleBatch]:
        """Yield the batches that hold attempts from the index `done` on, in order.

        The attempts at the conditions of place r have the indices from r n on. Of single
        conditions, whole batches are drawn, whatever the number that is wanted, so that a larger
        one later changes nothing that came before. The first of them is cut into smaller ones.
        """
        if len(self.conditions) == 1:
            cuts = (cut for cut in _FIRST_BATCH_ENDS if cut < self.batch_size)
            bounds = chain([0], cuts, count(self.batch_size, self.batch_size))
            for start, stop in pairwise(bounds):
                if start >= self.n:
                    return
                if stop > done:
                    yield SampleBatch(start, stop - start, 0)
        for place in range(done // self.n, len(self.conditions)):
            for start in range(0, self.n, self.batch_size):
                size = min(self.batch_size, self.n - start)
                if place * self.n + start + size > done:
                    yield SampleBatch(place * self.n + start, size, place)

    def requests(self, prompts: PromptSet, own_format: Format) -> tuple[Request, ...]:
        """Return what a sampler is asked for each of the conditions.

        Args:
            prompts: the model's words.
            own_format: the model's, in which texts are where the run names no other.
        """
        return tuple(
            make_request(
                conditions,
                prompts,
                max_atoms=self.max_atoms,
                min_distance_ratio=self.min_distance_ratio,
                constrained=self.settings.constrained,
                fmt=self.text_format or own_format,
            )
            for conditions in self.conditions
        )

    def identity(self) -> dict[str, Any]:
        """Return all that the bytes of the attempts depend on, and the model's name.

        A single request is told by its prompt and the conditions by their names; of many, all are
        listed.
        """
        requests = self.requests(self.files.prompts, self.files.description.format)
        identity: dict[str, Any] = {
            "model": self.files.source,
            "model_sha256": model_hash(self.files.path),
            "batch_size": self.batch_size,
            "max_attempts_per_sample": self.max_attempts_per_sample,
            **asdict(self.settings),
            "max_atoms": self.max_atoms,
            "min_distance_ratio": self.min_distance_ratio,
        }
        if self.format is not None:
            identity["format"] = self.format
        if len(self.conditions) == 1:
            return identity | {"prompt": requests[0].prompt} | self.conditions[0].requested()
        return identity | {
            "n": self.n,
            "conditions": [conditions.requested() for conditions in self.conditions],
        }


def make_sampling_run(
    model: str | Path | ModelFolder,
    n: int,
    conditions: Sequence[Conditions] = (Conditions(),),
    *,
    seed: int | None = 0,
    max_attempts_per_sample: int = 1,
    guidance: float = 1.0,
    temperature: float | None = None,
    element_temperature: float | None = None,
    coordinate_temperature: float | None = None,
    top_p: float = 1.0,
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
    constrained: bool = True,
    batch_size: int | None = None,
    format: str | None = None,
) -> SamplingRun:
    """Return a run, with the model's own settings where none are given.

    Args:
        model: as `open_model` takes it.
        n: samples for each of the conditions.
        conditions: what crystals are to be, in one or several ways.
        seed, max_attempts_per_sample, guidance, temperature, element_temperature,
            coordinate_temperature, top_p, max_atoms, min_distance_ratio, constrained, batch_size,
            format: see `SamplingKwargs`.

    Raises:
        ModelError: no such model, or a file of it is damaged.
        SettingError: a number out of range, or settings that make no sense together.
    """
    files = open_model(model)
    settings = resolve_settings(
        files,
        conditions,
        seed=seed,
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        top_p=top_p,
        guidance=guidance,
        constrained=constrained,
    )
    if batch_size is None:
        batch_size = default_batch_size(files, max_attempts_per_sample)
    return SamplingRun(
        n,
        files,
        settings,
        tuple(conditions),
        max_atoms=max_atoms,
        min_distance_ratio=min_distance_ratio,
        batch_size=batch_size,
        max_attempts_per_sample=max_attempts_per_sample,
        format=files.default_format if format is None else format,
    )
