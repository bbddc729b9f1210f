"""What a stage is: one measurement of an evaluation.

A stage is a class with one instance in `registry.STAGES`, a part of the protocol with its name and
thresholds (`protocol.py`), and this interface:

    class Density(Stage):
        name = "density"                      # of its part of the protocol, too
        title = "density"
        version = 1                           # raised when its values change
        columns = ("density_g_per_cm3",)      # what it adds to structures.parquet
        required_columns = ("valid",)         # columns of earlier stages that it reads
        uses_samples = True                   # False where no sample enters
        libraries = ("ase",)                  # whose versions its values depend on

        def settings(self, context):          # what else they depend on, as JSON values
            return {}

        def measure(self, context, result):   # fills `result`, a `stage_result.StageResult`
            densities = context.map_samples(density)
            result.columns["density_g_per_cm3"] = densities
            result.add_mean("density", "mean density", [...], unit="g/cm^3")

`run` calls `measure` unless the stage's findings are on disk already, made from the same input,
settings, versions and needed stages; what it fills is then written as a whole. A stage that takes
minutes keeps its own progress in `context.folder`, which lasts until its findings are written, and
under settings of its own. It tells how far it is by `context.report_progress(done, whole)`.

A stage that cannot run raises `UnavailableError` (or any `CrystextError`) with a sentence that says
what is missing and what to do: it is noted, and the other stages go on. A single structure that
cannot be judged is no error: its columns are None, and it stays in every denominator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from crystext.evaluate.protocol import Protocol
from crystext.evaluate.reference_sets import ReferenceSet, ReferenceSets
from crystext.evaluate.samples import SampleSet
from crystext.evaluate.stage_result import StageResult
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.matching import map_groups

_Value = TypeVar("_Value")

_CHUNK_SIZE = 100
"""Crystals that a process is given at once."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What a user asks for beside the protocol; None takes the protocol's, or none."""

    reference: str | None = None
    """Crystals in place of the protocol's reference: whatever `read` reads, a store, or a name of
    the catalogue of data sets."""
    training: str | None = None
    """Crystals that the generator learned from, likewise."""
    targets: str | None = None
    """The true structure of each attempt, in their order, for structure prediction."""
    model: str | None = None
    """Model whose IPT is measured; None takes the one that drew the run."""
    potential: str | None = None
    hull: str | None = None
    relax: int | None = None
    """Attempts that are relaxed, from the first."""


@dataclass(frozen=True)
class StageContext:
    """What a stage is given."""

    sample_set: SampleSet
    protocol: Protocol
    options: EvaluationOptions
    reference_sets: ReferenceSets
    """Crystals to compare with; asking for some that are not there raises a `CrystextError`."""
    columns: Mapping[str, Sequence[Any]]
    """Those of the samples and of the stages before, by name."""
    folder: Path
    """For what the stage keeps while it runs; made by the stage, if it needs it."""
    cache: Path
    """For what stages share, such as fingerprints of what was drawn."""
    workers: Workers
    report_progress: Callable[[int, int], None] = field(default=lambda done, whole: None)

    def __len__(self) -> int:
        """Return the number of attempts."""
        return len(self.sample_set.samples)

    @cached_property
    def crystals(self) -> dict[int, Crystal]:
        """The attempts that are crystals, by their index."""
        return {
            i: attempt.crystal
            for i, attempt in enumerate(self.sample_set.samples)
            if attempt.crystal is not None
        }

    @property
    def reference(self) -> ReferenceSet:
        """The set that is compared with."""
        return self.reference_sets.get("reference")

    def per_sample(self, values: Sequence[_Value]) -> list[_Value | None]:
        """Return one value per attempt, given one per crystal; None where there is no crystal."""
        spread: list[_Value | None] = [None] * len(self)
        for i, value in zip(self.crystals, values, strict=True):
            spread[i] = value
        return spread

    def map_samples(self, function: Callable[[Crystal], _Value]) -> list[_Value | None]:
        """Return a function's value of each attempt, None where there is no crystal.

        Args:
            function: one that a process can import; a `functools.partial` of one will do.
        """
        return self.per_sample(self.map_crystals(function, list(self.crystals.values())))

    def map_crystals(
        self, function: Callable[[Crystal], _Value], crystals: Sequence[Crystal]
    ) -> list[_Value]:
        """Return a function's value of each of some crystals, computed by all workers."""
        chunks = [crystals[i : i + _CHUNK_SIZE] for i in range(0, len(crystals), _CHUNK_SIZE)]
        done = 0

        def advance() -> None:
            nonlocal done
            done = min(done + _CHUNK_SIZE, len(crystals))
            self.report_progress(done, len(crystals))

        answers = map_groups(_MapChunk(function), chunks, self.workers, advance)
        return [value for chunk in answers for value in chunk]


@dataclass(frozen=True)
class _MapChunk:
    """A function of each crystal of a chunk."""

    function: Callable[[Crystal], Any]

    def __call__(self, crystals: Sequence[Crystal]) -> list[Any]:
        return [self.function(crystal) for crystal in crystals]


class Stage(ABC):
    """One measurement; see the module's text."""

    name: ClassVar[str]
    title: ClassVar[str]
    """For people, as in a progress bar."""
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ()
    required_columns: ClassVar[tuple[str, ...]] = ()
    uses_samples: ClassVar[bool] = True
    """Whether the findings depend on what was drawn; if not, they hold for another input as well,
    and there are no columns."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Names of distributions."""

    def settings(self, context: StageContext) -> dict[str, Any]:
        """Return what the findings depend on besides the input and its part of the protocol.

        JSON values: the checksums of sets, say (`context.reference.sha256`). Nothing that is only
        a matter of speed.
        """
        return {}

    @abstractmethod
    def measure(self, context: StageContext, result: StageResult) -> None:
        """Fill in all columns, and figures.

        Raises:
            CrystextError: it cannot be measured.
        """
