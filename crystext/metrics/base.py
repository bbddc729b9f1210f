"""A metric: its name, unit, source, and the function that computes it.

A metric is one object in a file of its own, and one line of `registry.METRICS`:

    def mean_bond_length(crystal: Crystal) -> float: ...

    MEAN_BOND_LENGTH = Metric(
        name="mean_bond_length", title="mean bond length", unit="Å",
        compute=per_crystal(mean_bond_length), source="A. Author, 2026",
    )

A protocol measures it by its name: `metrics: [mean_bond_length]`. Another distribution adds one by
an entry point of the group `crystext.metrics` (see `runtime.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from crystext.errors import UnavailableError
from crystext.metrics.intervals import Proportion
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.matching import map_groups
from crystext.structures.record import Record

if TYPE_CHECKING:
    from crystext.data.store import Dataset
    from crystext.metrics.matminer.fingerprints import Fingerprints

Better = Literal["higher", "lower"]

DIFFCSP_SOURCE = "StructureMatcher with the tolerances of Jiao et al., arXiv:2309.04475 (DiffCSP)"
"""Source of metrics that match crystals with `matching.DIFFCSP_TOLERANCES`."""

_Value = TypeVar("_Value")

_CHUNK_SIZE = 100
"""Number of crystals in a work item."""


class ComparisonSet(Protocol):
    """A set of known crystals."""

    @property
    def dataset(self) -> Dataset:
        """The crystals with their labels."""

    @property
    def crystals(self) -> list[Crystal]:
        """All crystals."""

    def fingerprints(
        self, workers: Workers, report: Callable[[int, int], None] = ...
    ) -> Fingerprints:
        """Return the fingerprints of all crystals."""


@dataclass(frozen=True)
class MetricInput:
    """Samples, and the known crystals that they are compared with."""

    samples: Sequence[Record]
    """All samples in their order, failures included."""
    reference: ComparisonSet | None = None
    """The reference set of the protocol; given to metrics that require it."""
    training: ComparisonSet | None = None
    """The training set of the generator; likewise."""
    workers: Workers = 1
    cache: Path | None = None
    """File of the samples' fingerprints; see `fingerprints`."""
    report: Callable[[int, int], None] = field(default=lambda done, whole: None)

    @cached_property
    def crystals(self) -> list[Crystal]:
        """The crystals of those samples that have one."""
        return [x.crystal for x in self.samples if x.crystal is not None]

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """The fingerprints of `crystals`."""
        from crystext.metrics.matminer.fingerprints import fingerprints

        return fingerprints(
            self.crystals, cache=self.cache, workers=self.workers, report=self.report
        )

    def required(self, role: Literal["reference", "training"]) -> ComparisonSet:
        """Return a set that the metric requires.

        Raises:
            UnavailableError: there is none.
        """
        known: ComparisonSet | None = getattr(self, role)
        if known is None:
            raise UnavailableError(f"it needs a {role} set, but none is given")
        return known

    def per_sample(self, values: Sequence[_Value]) -> list[_Value | None]:
        """Return one value per sample, given one per crystal; None for failures."""
        of_crystals = iter(values)
        return [None if x.crystal is None else next(of_crystals) for x in self.samples]


MetricResult = Sequence[Any] | Proportion | float | None
"""One value per sample (bool or float; None if undefined), a proportion, or a number."""


@dataclass(frozen=True)
class Metric:
    """A measure of samples.

    A truth value per sample is reported as a proportion of all samples, failures included; a
    number per sample as the mean of those that have one.
    """

    name: str
    title: str
    """For tables."""
    compute: Callable[[MetricInput], MetricResult]
    unit: str = ""
    """Empty for proportions and other pure numbers."""
    better: Better | None = None
    """Whether higher or lower values are better; None if neither is."""
    source: str = ""
    """Paper of the definition."""
    requires: tuple[Literal["reference", "training"], ...] = ()
    """Sets required for comparison."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions the values depend on."""
    version: int = 1
    """Incremented when the values change."""


def per_crystal(function: Callable[[Crystal], Any]) -> Callable[[MetricInput], list[Any]]:
    """Return the `compute` of a metric that is a function of one crystal.

    Args:
        function: one that a process can import; its values are bool or float, or None.
    """

    def compute(samples: MetricInput) -> list[Any]:
        found = map_crystals(function, samples.crystals, samples.workers, samples.report)
        return samples.per_sample(found)

    return compute


def map_crystals(
    function: Callable[[Crystal], _Value],
    crystals: Sequence[Crystal],
    workers: Workers,
    report: Callable[[int, int], None],
) -> list[_Value]:
    """Return a function's value of each crystal, computed by all workers.

    Args:
        function: one that a process can import; a `functools.partial` of one will do.
        crystals: in any number.
        workers: processes, or an executor.
        report: called with the number of crystals done, and of all.
    """
    chunks = [crystals[i : i + _CHUNK_SIZE] for i in range(0, len(crystals), _CHUNK_SIZE)]
    done = 0

    def advance() -> None:
        nonlocal done
        done = min(done + _CHUNK_SIZE, len(crystals))
        report(done, len(crystals))

    answers = map_groups(_MapChunk(function), chunks, workers, advance)
    return [value for chunk in answers for value in chunk]


@dataclass(frozen=True)
class _MapChunk:
    """A function of each crystal of a chunk."""

    function: Callable[[Crystal], Any]

    def __call__(self, crystals: Sequence[Crystal]) -> list[Any]:
        return [self.function(crystal) for crystal in crystals]
