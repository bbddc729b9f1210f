"""What a campaign is to draw, and in which batches. Draws nothing and touches no file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.generation.requests import make_request
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.models.layout import is_adapter, model_folder, model_hash
from crystext.runtime.validate import whole_number
from crystext.tasks.prompts import PromptSet, load_prompts
from crystext.text import Format, get_format

_FIRST_BATCH_ENDS = (10, 100, 250, 500)
"""Where the first batch is cut: a few crystals come soon, and 100 take no more than 100. More cuts
would cost more: on one core, 10 texts take 0.6 s, 90 take 2.3 s and 250 together 3.5 s."""

_TEXTS_PER_WORKER = 250
"""Texts that are worth a process of their own."""

_SMALL_MODEL_BYTES = 256 * 2**20
"""Bytes of weights up to which a model is small: a step takes it as long for a few texts as for
many, and what it remembers of a thousand fits any memory."""


def default_batch_size(model: str | Path, max_tries: int = 1) -> int:
    """Return how many texts are drawn together where nobody says.

    A thousand with a small model and 250 with others; 50 where each crystal is drawn until it has
    what is asked for, because a batch waits for its last.
    """
    if whole_number("max_tries", max_tries) > 1:
        return 50
    folder = model_folder(model)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return 250 if is_adapter(folder) or weights > _SMALL_MODEL_BYTES else 1000


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
    model: str
    settings: SamplingSettings
    conditions: tuple[Conditions, ...] = (Conditions(),)
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio
    batch_size: int = 250
    max_tries: int = 1
    """Texts that are drawn, at most, until one is a crystal of which all that can be checked is as
    asked for."""
    format: str | None = None
    """Name of the format of the texts; None is the model's own."""

    def __post_init__(self) -> None:
        """Check the ranges, and what can only be seen of all settings together."""
        if self.format is not None:
            get_format(self.format)
        for name in ("n", "batch_size", "max_tries"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        if self.n < 1:
            raise SettingError(f"{self.n} crystals: expected 1 or more")
        if self.batch_size < 1:
            raise SettingError(f"a batch size of {self.batch_size}: expected 1 or more")
        if not 1 <= self.max_tries <= 1000:
            raise SettingError(f"{self.max_tries} tries: expected 1 to 1000")
        if not self.conditions:
            raise SettingError("no conditions are given; for any crystal, give empty ones")
        if self.settings.guidance != 1 and not any(c.prompt_properties() for c in self.conditions):
            raise SettingError(
                "guidance makes the prompt's conditions count for more or less, and there is none "
                "in the prompt; ask for something, or leave guidance at 1"
            )
        if self.max_tries > 1 and not any(c.can_be_checked for c in self.conditions):
            raise SettingError(
                "crystals are to be drawn until they match, and nothing is asked for that could "
                "be checked; ask for something else beside, or draw once"
            )

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

    def requests(self, prompts: PromptSet) -> tuple[Request, ...]:
        """Return what a sampler is asked for each of the conditions, in the words of a model."""
        return tuple(
            make_request(
                conditions,
                prompts,
                max_atoms=self.max_atoms,
                min_distance_ratio=self.min_distance_ratio,
                constrained=self.settings.constrained,
                fmt=self.text_format,
            )
            for conditions in self.conditions
        )

    def identity(self) -> dict[str, Any]:
        """Return all that the bytes of the attempts depend on, and the model's name.

        A single request is told by its prompt and the conditions by their names; of many, all are
        listed.
        """
        folder = model_folder(self.model)
        requests = self.requests(load_prompts(folder / "prompts"))
        identity: dict[str, Any] = {
            "model": self.model,
            "model_sha256": model_hash(folder),
            "batch_size": self.batch_size,
            "max_tries": self.max_tries,
            **asdict(self.settings),
            "max_atoms": self.max_atoms,
            "distance_scale": self.min_distance_ratio,
        }
        if self.format is not None:
            identity["format"] = self.format
        if len(self.conditions) == 1:
            return identity | {"prompt": requests[0].prompt} | self.conditions[0].requested()
        return identity | {
            "n": self.n,
            "conditions": [conditions.requested() for conditions in self.conditions],
        }
