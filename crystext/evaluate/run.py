"""An evaluation from input to report, which continues after a kill at any moment.

    DIR/structures.parquet     one row per sample: name, failure, formula, the columns of all stages
    DIR/report.json            see `report`
    DIR/report.html            the same as a page
    DIR/work/STAGE.parquet     the result of a stage (see `stage_cache`); measured again if stale
    DIR/lock                   held by the process that writes

The report has every stage with a result on disk, so that stages can be run one by one.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crystext.data.shipped import TRAINING_SET
from crystext.energies.import_path import is_import_path
from crystext.energies.potentials import AUTO, check_available, potential_name
from crystext.errors import (
    CrystextError,
    SettingError,
    UnavailableError,
    did_you_mean,
)
from crystext.evaluate import stage_cache
from crystext.evaluate.funnel import funnel
from crystext.evaluate.html.write import write_page
from crystext.evaluate.protocol import Protocol, load_protocol, protocol_names
from crystext.evaluate.protocol_deviations import protocol_deviations
from crystext.evaluate.reference_sets import ReferenceSets, specify_reference_set
from crystext.evaluate.report import (
    InputSummary,
    LabelCounts,
    ReferenceSetSummary,
    Report,
    StageStatus,
)
from crystext.evaluate.samples import SampleSet, read_samples
from crystext.evaluate.stage_cache import CachedStage
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import EvaluationOptions, Stage, StageContext
from crystext.evaluate.stages.registry import STAGES
from crystext.models.layout import SHIPPED
from crystext.runtime.files import json_digest, write_parquet, write_text
from crystext.runtime.processes import Workers
from crystext.runtime.provenance import collect_provenance, installed_versions
from crystext.runtime.run_folder import LOCK_FILE, RunFolder
from crystext.structures.properties import reduced_formula

_OUTPUT_NAMES = {"structures.parquet", "report.json", "report.html", "work", LOCK_FILE}

ProgressCallback = Callable[[str, int, int], None]
"""Called with a stage's title, the amount done, and the total."""


def evaluate_samples(
    source: str | Path,
    protocol: str | Path | Protocol,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    n: int | None = None,
    options: EvaluationOptions | None = None,
    workers: Workers = 1,
    lenient: bool = False,
    all_attempts: bool = False,
    progress: ProgressCallback = lambda title, done, whole: None,
) -> Report:
    """Measure samples by a protocol, and write the report into a folder.

    Stages that the folder holds results of are not measured again; the report has all of them.

    Args:
        source: a run of `crystext sample`, or any source of crystals that `read_crystals` reads.
        protocol: the name of a shipped protocol, the path of a YAML file, or one that is loaded.
        out: folder of the report; made if it is not there.
        only: names of stages; those whose columns they need are run as well. Empty runs all but
            those for which an option is missing, such as `judges` with one potential.
        n: number of samples to evaluate, from the first.
        options: sets, models and potentials in place of the protocol's.
        workers: processes, or an executor. A script with more than one process needs `if __name__
            == "__main__":`.
        lenient: whether samples, and reference sets that are files, are read leniently; see
            `read_crystals`.
        all_attempts: evaluate all samples of a run of which the best were kept, not only these.
        progress: called with the progress of each stage.

    Raises:
        CrystextError: the input, the protocol or an option cannot be used, or no requested stage
            can be measured.
    """
    protocol = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    options = options or EvaluationOptions()
    wanted = _stages_to_run(protocol, only, options)
    for given in (options.reference, options.training, options.targets):
        if given is not None:
            # Before a large input is read.
            specify_reference_set(given, None)
    _check_judges(options, protocol)
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    samples = read_samples(source, n, lenient=lenient, all_attempts=all_attempts)
    _check_targets(samples, protocol, options)
    sets = _specify_reference_sets(protocol, options, samples, lenient)
    out = Path(out)
    folder = RunFolder(out, "an evaluation", owned=_OUTPUT_NAMES)
    folder.check_contents()
    with folder.locked():
        evaluation = _Evaluation(samples, protocol, options, sets, out, workers, progress)
        evaluation.run(wanted, only or wanted)
        return evaluation.publish()


class _Evaluation:
    """The stages of an evaluation, measured or not."""

    def __init__(
        self,
        sample_set: SampleSet,
        protocol: Protocol,
        options: EvaluationOptions,
        reference_sets: ReferenceSets,
        out: Path,
        workers: Workers,
        progress: ProgressCallback,
    ) -> None:
        self.sample_set, self.protocol, self.options = sample_set, protocol, options
        self.reference_sets = reference_sets
        self.out, self.workers, self.progress = out, workers, progress
        self.settings = protocol.stages
        self.stages: list[Stage[Any]] = [STAGES[name] for name in self.settings]
        self.crystals_sha256 = _crystals_sha256(sample_set)
        self.columns: dict[str, Sequence[Any]] = _input_columns(sample_set)
        self.cache_keys: dict[str, str] = {}
        self.statuses: dict[str, StageStatus] = {}
        self.results: dict[str, StageResult] = {}

    def run(self, selected: Sequence[str], requested: Sequence[str]) -> None:
        """Measure the selected stages; take the results of others from disk.

        Raises:
            CrystextError: no requested stage can be measured.
        """
        failed: dict[str, CrystextError] = {}
        for stage in self.stages:
            try:
                self._run(stage, measure=stage.name in selected)
            except CrystextError as error:
                if stage.name in selected:
                    note = StageStatus(state="unavailable", seconds=0, note=str(error))
                    self.statuses[stage.name] = note
                    failed[stage.name] = error
        if failed and not set(requested) & self.results.keys():
            raise next(iter(failed.values()))

    def _run(self, stage: Stage[Any], *, measure: bool) -> None:
        for need in stage.required_columns:
            if need not in self.columns:
                raise UnavailableError(f"it needs {need}, which could not be measured")
        context = self._context(stage)
        path = self.out / "work" / f"{stage.name}.parquet"
        if not measure and not path.exists():
            return
        cache_key = self._cache_key(stage, context)
        cached = stage_cache.read_stage(path, stage.name, cache_key)
        if cached is None:
            if not measure:
                return
            started = time.monotonic()
            result = StageResult(stage.name)
            stage.measure(context, self.settings[stage.name], result)
            self._check(stage, result)
            cached = CachedStage(result, time.monotonic() - started)
            stage_cache.write_stage(path, cache_key, cached, len(self.sample_set.samples))
            shutil.rmtree(context.folder, ignore_errors=True)
            # As it is after reading it back.
            cached = stage_cache.read_stage(path, stage.name, cache_key) or cached
        self.cache_keys[stage.name] = cache_key
        self.columns |= cached.result.columns
        self.results[stage.name] = cached.result
        note = cached.result.note
        self.statuses[stage.name] = StageStatus(state="done", seconds=cached.seconds, note=note)

    def _context(self, stage: Stage[Any]) -> StageContext:
        work = self.out / "work"
        return StageContext(
            self.sample_set,
            self.settings,
            self.options,
            self.reference_sets,
            self.columns,
            work / stage.name,
            self._shared_folder,
            self.workers,
            lambda done, whole: self.progress(stage.title, done, whole),
        )

    @property
    def _shared_folder(self) -> Path:
        """What stages share, such as fingerprints."""
        return self.out / "work" / "shared"

    def _cache_key(self, stage: Stage[Any], context: StageContext) -> str:
        settings = self.settings[stage.name]
        providers = {column: s.name for s in self.stages for column in s.columns}
        required = {providers[x] for x in stage.required_columns if x in providers}
        samples = {
            "input": self.sample_set.sha256,
            "samples": len(self.sample_set.samples),
            "crystals": self.crystals_sha256,
        }
        return json_digest(
            {
                **(samples if stage.uses_samples else {}),
                "stage": stage.name,
                "version": stage.version,
                "settings": settings.model_dump(mode="json"),
                "dependencies": stage.dependencies(context, settings),
                "libraries": installed_versions(stage.libraries),
                "required": sorted(self.cache_keys[name] for name in required),
            }
        )

    def _check(self, stage: Stage[Any], result: StageResult) -> None:
        """Check the result against the stage's declaration."""
        assert set(stage.columns) <= set(result.columns), f"{stage.name} left out a column"
        assert not set(result.columns) & set(self.columns), f"{stage.name} repeats a column"
        assert stage.uses_samples or not result.columns, f"{stage.name} has columns of no input"
        for name, values in result.columns.items():
            assert len(values) == len(self.sample_set.samples), f"{stage.name}: {name} is too short"

    def publish(self) -> Report:
        """Write table, report and page, and return the report."""
        samples, results = self.sample_set, self.results.values()
        report = Report(
            protocol=self.protocol.name,
            protocol_title=self.protocol.title,
            protocol_deviations=protocol_deviations(
                self.protocol,
                self.options,
                self.reference_sets,
                self.results,
                len(samples.samples),
                self._shared_folder,
                samples.selection,
            ),
            input=InputSummary(
                path=samples.path.resolve().name,
                kind=samples.kind,
                samples=len(samples.samples),
                parsed=sum(x.crystal is not None for x in samples.samples),
                with_notes=sum(bool(x.notes) for x in samples.samples),
                sha256=samples.sha256,
                selection=samples.selection,
            ),
            provenance=collect_provenance(),
            reference_sets={
                role: ReferenceSetSummary(
                    title=known.title, crystals=len(known), sha256=known.sha256
                )
                for role, known in self.reference_sets.opened.items()
            },
            funnel=funnel(self.columns, len(samples.samples)),
            metrics=[x for result in results for x in result.metrics],
            histograms=[x for result in results for x in result.histograms],
            counts=[
                _failure_counts(samples),
                *(x for result in results for x in result.label_counts),
            ],
            tables=[x for result in results for x in result.tables],
            stages=self.statuses,
        )
        table = stage_cache.to_table(self.columns)
        write_parquet(self.out / "structures.parquet", table)
        text = report.model_dump_json(indent=2)
        write_text(self.out / "report.json", text + "\n")
        write_page(report, self.columns, [x.crystal for x in samples.samples], self.out)
        return report


def _check_targets(samples: SampleSet, protocol: Protocol, options: EvaluationOptions) -> None:
    """Check that chosen samples are not compared with structures that belong to all samples."""
    by_place = options.targets is not None or "proposals" in protocol.stages
    if samples.selection is not None and by_place:
        raise SettingError(
            f"{samples.path} holds {samples.selection.title}, and true structures belong to all "
            "samples in their order; evaluate these with --all-attempts"
        )


def _check_judges(options: EvaluationOptions, protocol: Protocol) -> None:
    """Check that the judges are asked, exist and are different, before anything is relaxed."""
    if options.judges and "judges" not in protocol.stages:
        raise SettingError(
            f"several potentials are given, but the protocol {protocol.name} has no part judges, "
            "which asks those after the first; give one potential"
        )
    for source in options.judges:
        if source == AUTO:
            raise SettingError("auto chooses one potential: give several by their names")
        check_available(source)
    # A function is not called here: one whose potential fails its check is left out later.
    named = [
        x
        for x in (options.potential, *options.judges)
        if isinstance(x, str | Path) and x != AUTO and not is_import_path(str(x))
    ]
    names = [potential_name(source) for source in named] if options.judges else []
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise SettingError(f"the potential {repeated} is given twice; give it once")


def _stages_to_run(
    protocol: Protocol, only: Sequence[str], options: EvaluationOptions
) -> tuple[str, ...]:
    """Return the stages to run: those requested, and those whose columns they need."""
    known = tuple(protocol.stages)
    for name in only:
        if name not in known:
            hint = _hint_to_stage(name, known)
            raise SettingError(
                f"the protocol {protocol.name} has no stage {name!r}; its stages are "
                f"{', '.join(known)}." + (hint or did_you_mean(name, known))
            )
    if not only:
        return tuple(name for name in known if STAGES[name].is_requested(options))
    wanted = set(only)
    for name in reversed(known):
        if name in wanted:
            required = set(STAGES[name].required_columns)
            wanted |= {other for other in known if set(STAGES[other].columns) & required}
    return tuple(name for name in known if name in wanted)


def _hint_to_stage(name: str, stages: Sequence[str]) -> str:
    """Return where a stage is that a protocol lacks, or what measures a metric; else nothing."""
    if (stage := _stage_that_measures(name, stages)) is not None:
        return f" {stage} measures {name}: try --only {stage}."
    if name not in STAGES:
        return ""
    having = [x for x in protocol_names() if name in load_protocol(x).stages]
    if having:
        return f" {', '.join(having)} has it: try --protocol {having[0]}."
    return " No shipped protocol has it; --protocol takes one of your own that does."


def _stage_that_measures(quantity: str, names: Sequence[str]) -> str | None:
    """Return the stage whose result has a quantity, a column or a step of the funnel, or None."""
    for name in names:
        stage = STAGES[name]
        if quantity in (*stage.quantities, *stage.columns, *(step.name for step in stage.funnel)):
            return name
    return None


def _specify_reference_sets(
    protocol: Protocol, options: EvaluationOptions, sample_set: SampleSet, lenient: bool
) -> ReferenceSets:
    """Return the sets of the protocol, or those that the user gives instead.

    Samples of the shipped model are compared with its training set, not that of the protocol.
    """
    specified = {}
    for role, split in (("reference", "test"), ("training", "train"), ("targets", None)):
        given: str | None = getattr(options, role)
        if given is None and role == "training" and sample_set.model == SHIPPED:
            given = TRAINING_SET
        if given is not None:
            specified[role] = specify_reference_set(given, split)
        elif role != "targets" and (known := getattr(protocol, role)) is not None:
            specified[role] = known
    return ReferenceSets(specified, lenient)


def _crystals_sha256(sample_set: SampleSet) -> str:
    """Return a digest of the crystals as read, because a file can be read in several ways."""
    hashed = hashlib.sha256()
    for sample in sample_set.samples:
        hashed.update(b"-" if sample.crystal is None else sample.crystal.digest().encode())
    return hashed.hexdigest()


def _input_columns(sample_set: SampleSet) -> dict[str, Sequence[Any]]:
    """Return the columns that need no stage."""
    crystals = [sample.crystal for sample in sample_set.samples]
    return {
        "index": range(len(crystals)),
        "name": [sample.name for sample in sample_set.samples],
        "parsed": [crystal is not None for crystal in crystals],
        "failure": [sample.failure_kind for sample in sample_set.samples],
        "message": [sample.message for sample in sample_set.samples],
        "notes": [" ".join(f"{n}." for n in x.notes) or None for x in sample_set.samples],
        "formula": [None if c is None else reduced_formula(c.numbers) for c in crystals],
        "n_atoms": [None if c is None else len(c) for c in crystals],
    }


def _failure_counts(sample_set: SampleSet) -> LabelCounts:
    result = StageResult("parsing")
    failures = Counter(x.failure.kind for x in sample_set.samples if x.failure is not None)
    result.add_label_counts("failures", "samples that are not crystals, by failure", failures)
    return result.label_counts[0]
