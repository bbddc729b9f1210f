"""The description of a sampling run and its batches; samples nothing and touches no file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.generation.keywords import SamplerKwargs
from crystext.generation.requests import make_request, resolve_settings
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.models.digest import model_hash
from crystext.models.layout import ModelFolder, open_model
from crystext.runtime.validate_numbers import whole_number
from crystext.tasks.prompts import PromptSet
from crystext.text import Format, get_format

_FIRST_BATCH_ENDS = (10, 100, 250, 500)
"""Where the first batch is split, so that a few crystals come soon, and 100 crystals cost no more
than 100. A small model begins a batch while it ends the one before."""

_TEXTS_PER_WORKER = 250
"""Number of texts that justifies another process."""

SMALL_MODEL_BYTES = 256 * 2**20
"""Bytes of weights up to which a model is small: a step takes as long for a few texts as for many,
and the cache of a thousand texts fits any memory."""


FILTER_ATTEMPTS = 100
"""Texts sampled per crystal, at most, until it passes the filters `oxidation` and `unit`."""


def default_batch_size(model: str | Path | ModelFolder, max_attempts_per_sample: int = 1) -> int:
    """Return the default batch size.

    A thousand with a small model and 250 with others; 50 with several attempts per sample, because
    a batch waits for its last text.
    """
    if whole_number("max_attempts_per_sample", max_attempts_per_sample) > 1:
        return 50
    files = open_model(model)
    return 250 if files.is_adapter or files.weight_bytes() > SMALL_MODEL_BYTES else 1000


class SampleBatch(NamedTuple):
    """Samples of one request that are sampled together."""

    start: int
    """Index of the first sample."""
    size: int
    request_index: int
    """Index of the request among those of the run."""

    def indices(self, total: int | None = None) -> range:
        """Return the indices of the samples; only those below `total`, if it is given."""
        stop = self.start + self.size
        return range(self.start, stop if total is None else min(stop, total))


@dataclass(frozen=True)
class SamplingRun:
    """A sampling run: the model, the conditions, the number of samples and the settings.

    Raises:
        SettingError: a number is out of range, or settings contradict each other.
    """

    n: int
    """Number of samples for each of the conditions."""
    model: str | ModelFolder
    """`shipped`, a folder or a name on the Hub; or the model as `open_model` opened it."""
    settings: SamplingSettings
    conditions: tuple[Conditions, ...] = (Conditions(),)
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio
    batch_size: int = 250
    max_attempts_per_sample: int = 1
    """Maximum number of texts per sample, until a crystal satisfies every condition that can be
    checked."""
    format: str | None = None
    """Name of the format of the texts; None is the model's own."""

    def __post_init__(self) -> None:
        """Check the ranges and combinations of settings."""
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
                "guidance scales the effect of conditions in the prompt, and the prompt has none; "
                "add a condition, or leave guidance at 1"
            )
        if self.max_attempts_per_sample > 1 and not any(c.can_be_checked for c in self.conditions):
            raise SettingError(
                "sampling repeats until conditions are satisfied, but none of them can be "
                "checked; add one that can, or sample once"
            )

    @cached_property
    def files(self) -> ModelFolder:
        """The model's folder; raises `ModelError` if there is none."""
        return open_model(self.model)

    @property
    def text_format(self) -> Format | None:
        """The requested format; None is the model's own."""
        return None if self.format is None else get_format(self.format)

    @property
    def total(self) -> int:
        """Total number of samples."""
        return self.n * len(self.conditions)

    @property
    def parallel_units(self) -> int:
        """Number of processes that the work can keep busy."""
        return len(self.conditions) * -(-self.n // min(self.batch_size, _TEXTS_PER_WORKER))

    def batches(self, done: int = 0) -> list[SampleBatch]:
        """Return the batches with samples from the index `done` on, in order."""
        return list(self.iter_batches(done))

    def iter_batches(self, done: int = 0) -> Iterator[SampleBatch]:
        """Yield the batches with samples from the index `done` on, in order.

        The samples of conditions number r have the indices from r n on. With single conditions,
        whole batches are sampled whatever n is, so that a larger n later does not change earlier
        samples. The first batch is split into smaller ones.
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
        """Return the request for each of the conditions.

        Args:
            prompts: the model's prompt set.
            own_format: the model's format, used if the run names no other.
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
        """Return everything that the bytes of the samples depend on, and the model's name.

        A single request is described by its prompt and conditions; several are listed.
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
        if identity["cell_temperature"] in (None, identity["temperature"]):
            del identity["cell_temperature"]  # as in runs of 0.1, whose cells had that of the text
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
    max_attempts_per_sample: int | None = None,
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
    batch_size: int | None = None,
    format: str | None = None,
    **sampler: Unpack[SamplerKwargs],
) -> SamplingRun:
    """Return a run, with the model's own settings as defaults.

    Args:
        model: as `open_model` takes it.
        n: samples for each of the conditions.
        conditions: one or several sets of conditions on the crystals.
        max_attempts_per_sample, max_atoms, min_distance_ratio, batch_size, format: see
            `SamplingKwargs`.
        **sampler: see `SamplerKwargs`.

    Raises:
        ModelError: the model does not exist, or one of its files is damaged.
        SettingError: a number is out of range, or settings contradict each other.
    """
    if isinstance(n, str):
        raise SettingError(
            f"n is {n!r}, and is the number of crystals; did you mean composition={n!r}?"
        )
    files = open_model(model)
    files.require_generator()
    settings = resolve_settings(files, conditions, **sampler)
    if max_attempts_per_sample is None:
        max_attempts_per_sample = FILTER_ATTEMPTS if any(c.filters for c in conditions) else 1
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
