"""The endless stream of training examples, a function of seed and position alone.

Position p belongs to epoch p // N of the N crystals, in a new order in each epoch. Every example
has its own random numbers, keyed by seed, epoch and crystal, so that any process can make it again,
whatever was made before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from crystext.data.store import Records
from crystext.structures.augment import permute_within_species, translate
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import WyckoffCrystal, to_wyckoff_or_none
from crystext.tasks import TASKS
from crystext.tasks.base import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.text import Format
from crystext.tokenization.encode import examples_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TokenizedExample = tuple[list[int], list[int]]
"""Token ids of an example and its labels, of equal length; see
`tokenization.encode.example_ids`."""

TrainingRow = tuple[list[int], Sequence[float]]
"""Token ids, and what is learned: a `TokenizedExample`, or a value of each property."""


class ExampleStream(ABC):
    """The rows that the records of each epoch give."""

    cuts_long_texts: ClassVar[bool] = False
    """Whether longer texts lose their end; else their examples are left out."""

    def __init__(self, data: Sized, *, max_tokens: int, seed: int) -> None:
        """Set up a stream.

        Args:
            data: the records of an epoch, or its texts.
            max_tokens: of the longest row.
            seed: of order and augmentation.
        """
        self.data, self.max_tokens, self.seed = data, max_tokens, seed
        self._order: tuple[int, NDArray[np.int64]] | None = None

    @property
    @abstractmethod
    def tasks(self) -> list[str]:
        """Names of what is learned, sorted; validation has a loss of each."""

    @abstractmethod
    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the rows at these positions of the stream, none longer than `max_tokens`."""

    @abstractmethod
    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the rows at these positions, whole, also if too long."""

    def _place(self, position: int) -> tuple[int, int]:
        """Return the index of the record at a position, and its epoch."""
        epoch, place = divmod(position, len(self.data))
        if self._order is None or self._order[0] != epoch:
            rng = np.random.Generator(np.random.Philox(key=[self.seed, 2**62 + epoch]))
            self._order = epoch, rng.permutation(len(self.data))
        return int(self._order[1][place]), epoch

    def _rng(self, index: int, epoch: int) -> np.random.Generator:
        """Return the random numbers of a record in an epoch."""
        return np.random.Generator(
            np.random.Philox(key=[self.seed, epoch * len(self.data) + index])
        )


def augment_crystal(
    record: Record, rng: np.random.Generator, translate_probability: float
) -> Record:
    """Return a record with a random equivalent crystal, if it has one."""
    if record.crystal is None:
        return record
    crystal = permute_within_species(record.crystal, rng)
    if rng.random() < translate_probability:
        crystal = translate(crystal, rng)
    return replace(record, crystal=crystal)


class Examples(ExampleStream):
    """Samples task and augmentation for each crystal of each epoch."""

    data: Records

    def __init__(
        self,
        data: Records,
        tokenizer: PreTrainedTokenizerBase,
        prompts: PromptSet,
        fmt: Format,
        *,
        task_weights: Mapping[str, float],
        tasks: Mapping[str, Task] = TASKS,
        translate_probability: float,
        max_tokens: int,
        seed: int,
        loss_on_prompt: bool = False,
    ) -> None:
        """Set up a stream.

        Args:
            task_weights: relative frequency of each task, by name; the order does not matter.
            tasks: the tasks by name.
            translate_probability: probability that an example's crystal is randomly translated.
            max_tokens: longer examples are left out.
        """
        super().__init__(data, max_tokens=max_tokens, seed=seed)
        self.tokenizer, self.prompts, self.format = tokenizer, prompts, fmt
        self._names = sorted(name for name, weight in task_weights.items() if weight > 0)
        self._tasks = tasks
        weights = np.array([task_weights[name] for name in self._names], dtype=np.float64)
        self._task_cdf = np.cumsum(weights / weights.sum())
        self.translate_probability, self.loss_on_prompt = translate_probability, loss_on_prompt
        self._wyckoff_cache: dict[int, WyckoffCrystal | None] = {}

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks with a weight above 0."""
        return self._names

    def example(self, index: int, epoch: int) -> Example | None:
        """Return the example that crystal `index` gives in an epoch.

        None if the crystal lacks what the sampled task needs, such as a Wyckoff description or a
        label.
        """
        rng = self._rng(index, epoch)
        record = self.data[index]
        augmented = augment_crystal(record, rng, self.translate_probability)
        # The sum may be a rounding error below 1.
        drawn = np.searchsorted(self._task_cdf, rng.random() * self._task_cdf[-1], side="right")
        task = self._tasks[self._names[int(drawn)]]
        fmt = task.format or self.format
        needs_wyckoff = fmt.needs_wyckoff or task.needs_wyckoff
        wyckoff = self._wyckoff(index, record) if needs_wyckoff else None
        if task.needs_crystal and (
            record.crystal is None or (fmt.needs_wyckoff and wyckoff is None)
        ):
            return None
        return task.make(replace(augmented, wyckoff=wyckoff), self.prompts, fmt, rng)

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the examples at these positions of the stream, without those that are too long."""
        return [row for row in self._rows(positions) if len(row[0]) <= self.max_tokens]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the examples at these positions, including those too long."""
        return [len(ids) for ids, _ in self._rows(positions)]

    def _rows(self, positions: range) -> list[TokenizedExample]:
        places = (self._place(position) for position in positions)
        made = [x for place in places if (x := self.example(*place)) is not None]
        return examples_ids(self.tokenizer, made, self.loss_on_prompt)

    def _wyckoff(self, index: int, record: Record) -> WyckoffCrystal | None:
        """Return the Wyckoff description of a crystal: from its store, else computed and cached."""
        if record.wyckoff is not None or record.crystal is None:
            return record.wyckoff
        if index not in self._wyckoff_cache:
            self._wyckoff_cache[index] = to_wyckoff_or_none(record.require_crystal())
        return self._wyckoff_cache[index]
