"""An evaluation from input to report, which a kill at any moment leaves ready to go on.

    DIR/structures.parquet     one row per attempt: name, fault, formula, the columns of all stages
    DIR/report.json            see `report`
    DIR/report.html            the same for people
    DIR/work/STAGE.parquet     what a stage found (see `stage_cache`); measured again if stale
    DIR/lock                   held by the process that writes

The report holds every stage whose findings are there, so that stages can be run one by one.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crystext.data.catalogue import CATALOGUE
from crystext.data.shipped import SHIPPED_SETS, TRAINING_SET
from crystext.data.store import STORE_FILE
from crystext.energies.potentials import PotentialSource
from crystext.errors import (
    CrystextError,
    InputError,
    RunError,
    SettingError,
    UnavailableError,
    did_you_mean,
)
from crystext.evaluate import stage_cache
from crystext.evaluate.deviations import protocol_deviations
from crystext.evaluate.funnel import funnel
from crystext.evaluate.html.write import write_page
from crystext.evaluate.protocol import Protocol, ReferenceSetSpec, load_protocol
from crystext.evaluate.reference_sets import ReferenceSets, is_shipped_set, reference_set_names
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
from crystext.evaluate.stages.stability import potential_for_protocol
from crystext.models.layout import SHIPPED
from crystext.runtime.processes import Workers
from crystext.runtime.provenance import collect_provenance, installed_versions
from crystext.structures.properties import reduced_formula

_OUTPUT_NAMES = {"structures.parquet", "report.json", "report.html", "work", "lock"}

ProgressCallback = Callable[[str, int, int], None]
"""Told a stage's title, how much of it is done, and of how much."""


def evaluate(
    source: str | Path,
    protocol: str | Path | Protocol,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    n: int | None = None,
    options: EvaluationOptions | None = None,
    workers: Workers = 1,
    lenient: bool = False,
    progress: ProgressCallback = lambda title, done, whole: None,
) -> Report:
    """Measure what is not measured yet, and write the report of all that is.

    Args:
        source: see `samples`.
        protocol: a name, a file, or one that is loaded.
        out: folder; made if it is not there.
        only: names of stages; those whose columns they need are run as well. Empty runs all.
        n: evaluates the first so many attempts.
        options: sets, models and potentials in place of the protocol's.
        workers: processes, or an executor. A script that asks for more than one process has to
            have its `if __name__ == "__main__":`.
        lenient: see `read_crystals`.
        progress: told how far each stage is.

    Raises:
        CrystextError: the input, the protocol or an option cannot be used, or nothing that was
            asked for can be measured.
    """
    rules = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    options = options or EvaluationOptions()
    wanted = _stages_to_run(rules, only)
    for given in (options.reference, options.training, options.targets):
        if given is not None:
            # Before a large input is read.
            _reference_set_spec(given, None)
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    drawn = read_samples(source, n, lenient=lenient)
    sets = _specify_reference_sets(rules, options, drawn)
    out = Path(out)
    with _locked_folder(out):
        evaluation = _Evaluation(drawn, rules, options, sets, out, workers, progress)
        evaluation.run(wanted, only or wanted)
        return evaluation.publish()


class _Evaluation:
    """What has become of each stage so far."""

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
        self.sample_set, self.protocol, self.options, self.reference_sets = (
            sample_set,
            protocol,
            options,
            reference_sets,
        )
        self.out, self.workers, self.progress = out, workers, progress
        self.crystals_sha256 = _crystals_sha256(sample_set)
        self.columns: dict[str, Sequence[Any]] = _input_columns(sample_set)
        self.cache_keys: dict[str, str] = {}
        self.statuses: dict[str, StageStatus] = {}
        self.results: dict[str, StageResult] = {}

    def run(self, selected: Sequence[str], requested: Sequence[str]) -> None:
        """Measure the stages that are wanted; take in what others have left on disk.

        Raises:
            CrystextError: none of those that were asked for can be measured.
        """
        failed: dict[str, CrystextError] = {}
        for stage in STAGES:
            if stage.name not in self.protocol.stages:
                continue
            try:
                self._run(stage, measure=stage.name in selected)
            except CrystextError as error:
                if stage.name in selected:
                    note = StageStatus(state="unavailable", seconds=0, note=str(error))
                    self.statuses[stage.name] = note
                    failed[stage.name] = error
        if failed and not set(requested) & self.results.keys():
            raise next(iter(failed.values()))

    def _run(self, stage: Stage, *, measure: bool) -> None:
        for need in stage.required_columns:
            if need not in self.columns:
                raise UnavailableError(f"it needs {need}, which could not be measured")
        context = self._context(stage)
        path = self.out / "work" / f"{stage.name}.parquet"
        if not measure and not path.exists():
            return
        cache_key = self._cache_key(stage, context)
        kept = stage_cache.read_stage(path, stage.name, cache_key)
        if kept is None:
            if not measure:
                return
            started = time.monotonic()
            found = StageResult(stage.name)
            stage.measure(context, found)
            self._check(stage, found)
            kept = CachedStage(found, time.monotonic() - started)
            stage_cache.write_stage(path, cache_key, kept, len(self.sample_set.samples))
            shutil.rmtree(context.folder, ignore_errors=True)
            # As it will be when it is read again.
            kept = stage_cache.read_stage(path, stage.name, cache_key) or kept
        self.cache_keys[stage.name] = cache_key
        self.columns |= kept.result.columns
        self.results[stage.name] = kept.result
        note = kept.result.note
        self.statuses[stage.name] = StageStatus(state="done", seconds=kept.seconds, note=note)

    def _context(self, stage: Stage) -> StageContext:
        work = self.out / "work"
        return StageContext(
            self.sample_set,
            self.protocol,
            self.options,
            self.reference_sets,
            self.columns,
            work / stage.name,
            work / "shared",
            self.workers,
            lambda done, whole: self.progress(stage.title, done, whole),
        )

    def _cache_key(self, stage: Stage, context: StageContext) -> str:
        part = getattr(self.protocol, stage.name)
        providers = {column: s.name for s in STAGES for column in s.columns}
        drawn = {
            "input": self.sample_set.sha256,
            "attempts": len(self.sample_set.samples),
            "crystals": self.crystals_sha256,
        }
        return stage_cache.make_cache_key(
            {
                **(drawn if stage.uses_samples else {}),
                "stage": stage.name,
                "version": stage.version,
                "rules": part.model_dump(mode="json"),
                "settings": stage.settings(context),
                "libraries": installed_versions(stage.libraries),
                "needs": sorted(
                    {
                        self.cache_keys[providers[x]]
                        for x in stage.required_columns
                        if x in providers
                    }
                ),
            }
        )

    def _potential_source(self) -> PotentialSource | None:
        """Return what relaxed, or None where nothing did."""
        if "stability" not in self.results:
            return None
        return potential_for_protocol(
            self.protocol, self.options, self.out / "work" / "shared"
        ).source

    def _check(self, stage: Stage, result: StageResult) -> None:
        """Make sure that a stage has kept its promises."""
        assert set(stage.columns) <= set(result.columns), f"{stage.name} left out a column"
        assert not set(result.columns) & set(self.columns), f"{stage.name} repeats a column"
        assert stage.uses_samples or not result.columns, f"{stage.name} has columns of no input"
        for name, values in result.columns.items():
            assert len(values) == len(self.sample_set.samples), f"{stage.name}: {name} is too short"

    def publish(self) -> Report:
        """Write table, report and page, and return the report."""
        drawn = self.sample_set
        report = Report(
            protocol=self.protocol.name,
            protocol_title=self.protocol.title,
            departures=protocol_deviations(
                self.protocol,
                self.options,
                self.reference_sets,
                self.results,
                len(drawn.samples),
                self._potential_source(),
            ),
            input=InputSummary(
                path=drawn.path.resolve().name,
                kind=drawn.kind,
                attempts=len(drawn.samples),
                parsed=sum(x.crystal is not None for x in drawn.samples),
                noted=sum(bool(x.notes) for x in drawn.samples),
                sha256=drawn.sha256,
            ),
            made=collect_provenance(),
            sets={
                role: ReferenceSetSummary(
                    title=known.title, crystals=len(known), sha256=known.sha256
                )
                for role, known in self.reference_sets.opened.items()
            },
            funnel=funnel(self.columns, len(drawn.samples)),
            figures=[x for found in self.results.values() for x in found.metrics],
            histograms=[x for found in self.results.values() for x in found.histograms],
            shares=[
                _failure_counts(drawn),
                *(x for found in self.results.values() for x in found.label_counts),
            ],
            stages=self.statuses,
        )
        table = stage_cache.to_table(self.columns)
        stage_cache.write_table(self.out / "structures.parquet", table)
        text = report.model_dump_json(indent=2)
        stage_cache.write_text(self.out / "report.json", text + "\n")
        write_page(report, self.columns, [x.crystal for x in drawn.samples], self.out)
        return report


def _stages_to_run(protocol: Protocol, only: Sequence[str]) -> tuple[str, ...]:
    """Return the stages to run: those asked for, and those whose columns they need."""
    known = [stage.name for stage in STAGES if stage.name in protocol.stages]
    for name in only:
        if name not in known:
            raise SettingError(
                f"the protocol {protocol.name} has no stage {name!r}; it has {', '.join(known)}."
                + did_you_mean(name, known)
            )
    if not only:
        return tuple(known)
    wanted = set(only)
    for stage in reversed(STAGES):
        if stage.name in wanted:
            wanted |= {
                other.name for other in STAGES if set(other.columns) & set(stage.required_columns)
            }
    return tuple(name for name in known if name in wanted)


def _specify_reference_sets(
    protocol: Protocol, options: EvaluationOptions, sample_set: SampleSet
) -> ReferenceSets:
    """Return the sets that are named; those that the user names have to be there.

    What the shipped model drew is compared with what that model learned from, whatever training set
    the protocol names.
    """
    specified = {}
    for role, split in (("reference", "test"), ("training", "train"), ("targets", None)):
        given: str | None = getattr(options, role)
        if given is None and role == "training" and sample_set.model == SHIPPED:
            given = TRAINING_SET
        if given is not None:
            specified[role] = _reference_set_spec(given, split)
        elif role != "targets" and (known := getattr(protocol, role)) is not None:
            specified[role] = known
    return ReferenceSets(specified)


def _crystals_sha256(sample_set: SampleSet) -> str:
    """Return what tells whether the same crystals were read: files may be read in several ways."""
    hashed = hashlib.sha256()
    for attempt in sample_set.samples:
        hashed.update(b"-" if attempt.crystal is None else attempt.crystal.digest().encode())
    return hashed.hexdigest()


def _reference_set_spec(given: str, split: str | None) -> ReferenceSetSpec:
    """Return a set that the user names, which has to be there, or to have a name."""
    if is_shipped_set(given):
        return ReferenceSetSpec(title=SHIPPED_SETS[given].title, source=given)
    own = given in CATALOGUE
    if not own and not Path(given).exists():
        names = reference_set_names()
        raise InputError(
            f"no file or folder {given}, and no set of crystals of that name; there are "
            f"{', '.join(names)}." + did_you_mean(given, names)
        )
    if own or (Path(given) / STORE_FILE).is_file():
        return ReferenceSetSpec.model_validate(
            {"title": Path(given).name, "source": given, "split": split}
        )
    return ReferenceSetSpec(title=Path(given).name, source=given)


def _input_columns(sample_set: SampleSet) -> dict[str, Sequence[Any]]:
    """Return the columns that need no stage."""
    crystals = [attempt.crystal for attempt in sample_set.samples]
    return {
        "index": range(len(crystals)),
        "name": [attempt.name for attempt in sample_set.samples],
        "parsed": [crystal is not None for crystal in crystals],
        "fault": [attempt.failure for attempt in sample_set.samples],
        "problem": [attempt.message for attempt in sample_set.samples],
        "notes": [" ".join(f"{n}." for n in x.notes) or None for x in sample_set.samples],
        "formula": [None if c is None else reduced_formula(c.numbers) for c in crystals],
        "n_atoms": [None if c is None else len(c) for c in crystals],
    }


def _failure_counts(sample_set: SampleSet) -> LabelCounts:
    found = StageResult("parsing")
    faults = Counter(
        attempt.failure for attempt in sample_set.samples if attempt.failure is not None
    )
    found.add_label_counts("faults", "attempts that are no crystal, by fault", faults)
    return found.label_counts[0]


@contextmanager
def _locked_folder(out: Path) -> Iterator[None]:
    """Make a folder and hold it, or say why it cannot be had."""
    from filelock import FileLock, Timeout

    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for the report")
    strange = sorted({p.name for p in out.iterdir()} - _OUTPUT_NAMES) if out.exists() else []
    # A write that was cut short may have left a part.
    strange = [name for name in strange if not name.endswith(".partial")]
    if strange:
        raise RunError(
            f"{out} holds files that are no evaluation ({', '.join(strange[:3])}); give an empty "
            "--out"
        )
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / "lock", timeout=0):
            yield
    except Timeout:
        raise RunError(
            f"another process is writing to {out}; wait for it, or give another --out"
        ) from None
