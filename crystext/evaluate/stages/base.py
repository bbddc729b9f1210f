"""The interface of a stage: one measurement of an evaluation.

A stage is one file with its settings and its class, and one line of `registry.STAGES`:

    class DensitySettings(CitedSettings):     # its part of the protocol, under its name
        max_density: float = Field(gt=0)      # g/cm^3

    class DensityStage(Stage[DensitySettings]):
        name = "density"
        title = "density"                     # in a progress bar
        settings_model = DensitySettings
        section = ReportSection("Density")    # its place on the page
        version = 1                           # raised when its values change
        columns = ("density_g_per_cm3",)      # what it adds to structures.parquet
        required_columns = ("valid",)         # columns of earlier stages that it reads
        libraries = ("ase",)                  # whose versions its values depend on

        def measure(self, context, settings, result):  # fills `result`, a `StageResult`
            densities = context.map_samples(density)
            result.columns["density_g_per_cm3"] = densities
            result.add_mean("density", "mean density", [...], unit="g/cm^3")

    STAGE = DensityStage()

Another distribution adds one by an entry point of the group `crystext.stages` (see
`runtime.registry`). Stages run in the order of the registry.

`run` calls `measure` unless the result is on disk already, made from the same input, settings,
versions and required stages; the result is then written as a whole. A stage that takes minutes
keeps its own progress in `context.folder`, which lasts until its result is written. It reports
progress by `context.report_progress(done, whole)`.

A stage that cannot run raises `UnavailableError` (or any `CrystextError`) with a sentence that says
what is missing and what to do: the report shows it, and the other stages run. A single structure
that cannot be measured is not an error: its columns are None, and it counts as a failure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import Field

from crystext.energies.potentials import PotentialSource
from crystext.evaluate.reference_sets import ReferenceSet, ReferenceSets
from crystext.evaluate.report import ProtocolDeviation
from crystext.evaluate.samples import SampleSet
from crystext.evaluate.stage_result import StageResult
from crystext.io.read.parse import Piece, parse_piece
from crystext.metrics.base import map_crystals
from crystext.metrics.matminer.fingerprints import Fingerprints, fingerprints
from crystext.runtime.processes import Workers
from crystext.runtime.schema import StrictModel
from crystext.structures.crystal import Crystal

_Value = TypeVar("_Value")


class StageSettings(StrictModel):
    """A stage's part of a protocol."""


class CitedSettings(StageSettings):
    """A stage's part of a protocol, with the source of its thresholds."""

    source: str = Field(min_length=1)
    """Paper, arXiv number, or a note that the thresholds are our own."""


Settings = TypeVar("Settings", bound=StageSettings)


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of a user in place of the protocol's; None takes the protocol's, or none."""

    reference: str | None = None
    """Crystals in place of the protocol's reference: anything that `read` reads, a store, or a name
    of the catalogue of data sets."""
    training: str | None = None
    """Crystals that the generator learned from, likewise."""
    targets: str | None = None
    """The true structure of each sample, in their order, for structure prediction."""
    model: str | None = None
    """Model whose IPT is measured; None takes the model of the run."""
    potential: PotentialSource | None = None
    """Relaxes the samples; see `energies.potentials`."""
    judges: tuple[PotentialSource, ...] = ()
    """Potentials that relax further what the first has relaxed; see the stage judges."""
    hull: str | None = None
    relax: int | None = None
    """Number of samples that are relaxed, from the first."""


@dataclass(frozen=True)
class StageContext:
    """The input of a stage."""

    sample_set: SampleSet
    settings: Mapping[str, StageSettings]
    """The parts of the protocol by the names of their stages."""
    options: EvaluationOptions
    reference_sets: ReferenceSets
    """Crystals to compare with; a missing set raises a `CrystextError`."""
    columns: Mapping[str, Sequence[Any]]
    """Those of the samples and of the stages before, by name."""
    folder: Path
    """Folder for the stage's state while it runs; created by the stage if needed."""
    cache: Path
    """Folder for data shared by stages, such as fingerprints of the samples."""
    workers: Workers
    report_progress: Callable[[int, int], None] = field(default=lambda done, whole: None)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.sample_set.samples)

    @cached_property
    def crystals(self) -> dict[int, Crystal]:
        """The crystals by the indices of their samples."""
        return {
            i: sample.crystal
            for i, sample in enumerate(self.sample_set.samples)
            if sample.crystal is not None
        }

    @property
    def reference(self) -> ReferenceSet:
        """The reference set."""
        return self.reference_sets.get("reference")

    @property
    def fingerprint_cache(self) -> Path:
        """File of the samples' fingerprints, written incrementally, so that a kill loses little."""
        return self.cache / "fingerprints.npz"

    def fingerprints(self) -> Fingerprints:
        """Return the fingerprints of all crystals, computed once per evaluation."""
        return fingerprints(
            list(self.crystals.values()),
            cache=self.fingerprint_cache,
            workers=self.workers,
            report=self.report_progress,
        )

    def relaxed_crystals(self) -> dict[int, Crystal]:
        """Return the relaxed crystals by the indices of their samples."""
        relaxed = {}
        for i, text in enumerate(self.columns[RELAXED_CIF]):
            if text is not None:
                (record,) = parse_piece(Piece("", "cif", text))
                if record.crystal is not None:
                    relaxed[i] = record.crystal
        return relaxed

    def per_sample(self, values: Sequence[_Value]) -> list[_Value | None]:
        """Return one value per sample, given one per crystal; None for failures."""
        spread: list[_Value | None] = [None] * len(self)
        for i, value in zip(self.crystals, values, strict=True):
            spread[i] = value
        return spread

    def map_samples(self, function: Callable[[Crystal], _Value]) -> list[_Value | None]:
        """Return a function's value for each sample, None for failures.

        Args:
            function: one that a process can import; a `functools.partial` of one will do.
        """
        return self.per_sample(self.map_crystals(function, list(self.crystals.values())))

    def map_crystals(
        self, function: Callable[[Crystal], _Value], crystals: Sequence[Crystal]
    ) -> list[_Value]:
        """Return a function's value for each of some crystals, computed by all workers."""
        return map_crystals(function, crystals, self.workers, self.report_progress)


ENERGY_REQUESTED = "energy_requested"
"""Column that is true of the samples, failures included, whose energies were requested."""

ABOVE_HULL = "e_above_hull_ev_per_atom"
"""Column of the energy above the hull by the first potential."""

RELAXED_CIF = "relaxed_cif"
"""Column of the relaxed crystals, as CIF with all digits."""


class FunnelCriterion(NamedTuple):
    """A step of the funnel: the samples for which all of some columns are true."""

    name: str
    title: str
    columns: tuple[str, ...]
    needs_energies: bool = False
    """Whether it is limited to samples whose energies were requested."""


@dataclass(frozen=True)
class ReportSection:
    """The section of a stage on the page `report.html`.

    Tables of metrics, histograms and label counts need nothing here: the page shows all that a
    stage puts into its result.
    """

    heading: str
    within: str = ""
    """Name of the stage in whose section it is shown; empty for a section of its own."""
    formula_notes: frozenset[str] = frozenset()
    """Names of the metrics whose note is a chemical formula."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Captions of tables that count the values of a column, by columns: reasons of failures."""
    matches: Mapping[str, str] = field(default_factory=dict)
    """Titles of tables that list the samples with a value in a column, by columns."""
    captions: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Captions below a crystal of the gallery, by columns: a sentence, given the value."""
    gallery_order: Mapping[str, str] = field(default_factory=dict)
    """Which crystals come first in the gallery, by columns, with the words for it: those for which
    the column is true, or the lowest numbers of it."""
    gallery_note: str = ""
    """A sentence below the gallery's title, shown if a column of `gallery_order` has a value."""


class Stage(ABC, Generic[Settings]):
    """One measurement; see the module's text."""

    name: ClassVar[str]
    title: ClassVar[str]
    """Title for display, as in a progress bar."""
    settings_model: type[Settings]
    section: ClassVar[ReportSection]
    is_mandatory: ClassVar[bool] = False
    """Whether every protocol must have it."""
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ()
    required_columns: ClassVar[tuple[str, ...]] = ()
    uses_samples: ClassVar[bool] = True
    """False if the result does not depend on the samples: it then also holds for other inputs, and
    has no columns."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Names of distributions."""
    funnel: ClassVar[tuple[FunnelCriterion, ...]] = ()
    """Its steps of the funnel."""
    quantities: ClassVar[tuple[str, ...]] = ()
    """Other words for what it measures, by which a user may look for it."""
    export_columns: ClassVar[tuple[str, ...]] = ()
    """Columns that accompany crystals in an exported Parquet table."""
    affected_by: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Which of its metrics and funnel steps depend on what, by the names of deviations (as
    `reference`, `training`, or those of `deviations`); its own name stands for all metrics."""

    def dependencies(self, context: StageContext, settings: Settings) -> dict[str, Any]:
        """Return what the result depends on besides the input and the settings, as JSON values.

        For example checksums of sets (`context.reference.sha256`), but nothing that affects only
        speed.
        """
        return {}

    def deviations(
        self, settings: Settings, options: EvaluationOptions, n_samples: int, cache: Path | None
    ) -> Iterable[ProtocolDeviation]:
        """Return the deviations of a measurement from the protocol, except its sets.

        Args:
            settings: of the protocol.
            options: options given in place of the protocol's.
            n_samples: number of samples.
            cache: `StageContext.cache` of the evaluation; None where there is none.
        """
        return ()

    @abstractmethod
    def measure(self, context: StageContext, settings: Settings, result: StageResult) -> None:
        """Fill in all columns, and metrics.

        Raises:
            CrystextError: it cannot be measured.
        """
