"""An evaluation from input to report, which a kill at any moment leaves ready to go on.

    DIR/structures.parquet     one row per attempt: name, fault, formula, the columns of all stages
    DIR/report.json            see `report`
    DIR/report.html            the same for people
    DIR/work/STAGE.parquet     what a stage found (see `kept`); not measured again while it holds
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
from crystext.data.shipped import SHIPPED_SETS, TRAINING
from crystext.data.store import ABOUT
from crystext.energies.potentials import Source
from crystext.errors import (
    CrystextError,
    InputError,
    RunError,
    SettingError,
    UnavailableError,
    did_you_mean,
)
from crystext.evaluate import stage_cache as on_disk
from crystext.evaluate.deviations import departures
from crystext.evaluate.funnel import funnel
from crystext.evaluate.html.write import write_page
from crystext.evaluate.protocol import KnownSet, Protocol, load_protocol
from crystext.evaluate.reference_sets import Sets, names_shipped, set_names
from crystext.evaluate.report import Counts, InputNote, Report, SetNote, StageNote
from crystext.evaluate.samples import Input, read_input
from crystext.evaluate.stage_cache import Kept
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Options, Stage
from crystext.evaluate.stages.registry import STAGES
from crystext.evaluate.stages.stability import potential_used
from crystext.models.layout import SHIPPED
from crystext.runtime.processes import Workers
from crystext.runtime.provenance import made_now, versions
from crystext.structures.properties import reduced_formula

_OURS = {"structures.parquet", "report.json", "report.html", "work", "lock"}

Progress = Callable[[str, int, int], None]
"""Told a stage's title, how much of it is done, and of how much."""


def evaluate(
    source: str | Path,
    protocol: str | Path | Protocol,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    n: int | None = None,
    options: Options | None = None,
    workers: Workers = 1,
    lenient: bool = False,
    progress: Progress = lambda title, done, whole: None,
) -> Report:
    """Measure what is not measured yet, and write the report of all that is.

    Args:
        source: see `inputs`.
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
    options = options or Options()
    wanted = _wanted(rules, only)
    for given in (options.reference, options.training, options.targets):
        if given is not None:
            # Before a large input is read.
            _named_set(given, None)
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    drawn = read_input(source, n, lenient=lenient)
    sets = _sets(rules, options, drawn)
    out = Path(out)
    with _held(out):
        evaluation = _Evaluation(drawn, rules, options, sets, out, workers, progress)
        evaluation.run(wanted, only or wanted)
        return evaluation.publish()


class _Evaluation:
    """What has become of each stage so far."""

    def __init__(
        self,
        drawn: Input,
        rules: Protocol,
        options: Options,
        sets: Sets,
        out: Path,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.input, self.rules, self.options, self.sets = drawn, rules, options, sets
        self.out, self.workers, self.progress = out, workers, progress
        self.crystals_sha256 = _checksum(drawn)
        self.columns: dict[str, Sequence[Any]] = _own_columns(drawn)
        self.identities: dict[str, str] = {}
        self.notes: dict[str, StageNote] = {}
        self.done: dict[str, Findings] = {}

    def run(self, wanted: Sequence[str], asked: Sequence[str]) -> None:
        """Measure the stages that are wanted; take in what others have left on disk.

        Raises:
            CrystextError: none of those that were asked for can be measured.
        """
        failed: dict[str, CrystextError] = {}
        for stage in STAGES:
            if stage.name not in self.rules.stages:
                continue
            try:
                self._run(stage, measure=stage.name in wanted)
            except CrystextError as error:
                if stage.name in wanted:
                    note = StageNote(state="unavailable", seconds=0, note=str(error))
                    self.notes[stage.name] = note
                    failed[stage.name] = error
        if failed and not set(asked) & self.done.keys():
            raise next(iter(failed.values()))

    def _run(self, stage: Stage, *, measure: bool) -> None:
        for need in stage.needs:
            if need not in self.columns:
                raise UnavailableError(f"it needs {need}, which could not be measured")
        context = self._context(stage)
        path = self.out / "work" / f"{stage.name}.parquet"
        if not measure and not path.exists():
            return
        made_from = self._identity(stage, context)
        kept = on_disk.read(path, stage.name, made_from)
        if kept is None:
            if not measure:
                return
            started = time.monotonic()
            found = Findings(stage.name)
            stage.measure(context, found)
            self._check(stage, found)
            kept = Kept(found, time.monotonic() - started)
            on_disk.write(path, made_from, kept, len(self.input.attempts))
            shutil.rmtree(context.folder, ignore_errors=True)
            # As it will be when it is read again.
            kept = on_disk.read(path, stage.name, made_from) or kept
        self.identities[stage.name] = made_from
        self.columns |= kept.findings.columns
        self.done[stage.name] = kept.findings
        note = kept.findings.note
        self.notes[stage.name] = StageNote(state="done", seconds=kept.seconds, note=note)

    def _context(self, stage: Stage) -> Context:
        work = self.out / "work"
        return Context(
            self.input,
            self.rules,
            self.options,
            self.sets,
            self.columns,
            work / stage.name,
            work / "shared",
            self.workers,
            lambda done, whole: self.progress(stage.title, done, whole),
        )

    def _identity(self, stage: Stage, context: Context) -> str:
        part = getattr(self.rules, stage.name)
        providers = {column: s.name for s in STAGES for column in s.columns}
        drawn = {
            "input": self.input.sha256,
            "attempts": len(self.input.attempts),
            "crystals": self.crystals_sha256,
        }
        return on_disk.identity(
            {
                **(drawn if stage.of_input else {}),
                "stage": stage.name,
                "version": stage.version,
                "rules": part.model_dump(mode="json"),
                "settings": stage.settings(context),
                "libraries": versions(stage.libraries),
                "needs": sorted(
                    {self.identities[providers[x]] for x in stage.needs if x in providers}
                ),
            }
        )

    def _potential(self) -> Source | None:
        """Return what relaxed, or None where nothing did."""
        if "stability" not in self.done:
            return None
        return potential_used(self.rules, self.options, self.out / "work" / "shared").source

    def _check(self, stage: Stage, found: Findings) -> None:
        """Make sure that a stage has kept its promises."""
        assert set(stage.columns) <= set(found.columns), f"{stage.name} left out a column"
        assert not set(found.columns) & set(self.columns), f"{stage.name} repeats a column"
        assert stage.of_input or not found.columns, f"{stage.name} has columns of no input"
        for name, values in found.columns.items():
            assert len(values) == len(self.input.attempts), f"{stage.name}: {name} is too short"

    def publish(self) -> Report:
        """Write table, report and page, and return the report."""
        drawn = self.input
        report = Report(
            protocol=self.rules.name,
            protocol_title=self.rules.title,
            departures=departures(
                self.rules,
                self.options,
                self.sets,
                self.done,
                len(drawn.attempts),
                self._potential(),
            ),
            input=InputNote(
                path=drawn.path.resolve().name,
                kind=drawn.kind,
                attempts=len(drawn.attempts),
                parsed=sum(x.crystal is not None for x in drawn.attempts),
                noted=sum(bool(x.notes) for x in drawn.attempts),
                sha256=drawn.sha256,
            ),
            made=made_now(),
            sets={
                role: SetNote(title=known.title, crystals=len(known), sha256=known.sha256)
                for role, known in self.sets.opened.items()
            },
            funnel=funnel(self.columns, len(drawn.attempts)),
            figures=[x for found in self.done.values() for x in found.figures],
            histograms=[x for found in self.done.values() for x in found.histograms],
            shares=[_faults(drawn), *(x for found in self.done.values() for x in found.shares)],
            stages=self.notes,
        )
        table = on_disk.to_table(self.columns)
        on_disk.write_table(self.out / "structures.parquet", table)
        text = report.model_dump_json(indent=2)
        on_disk.write_text(self.out / "report.json", text + "\n")
        write_page(report, self.columns, [x.crystal for x in drawn.attempts], self.out)
        return report


def _wanted(rules: Protocol, only: Sequence[str]) -> tuple[str, ...]:
    """Return the stages to run: those asked for, and those whose columns they need."""
    known = [stage.name for stage in STAGES if stage.name in rules.stages]
    for name in only:
        if name not in known:
            raise SettingError(
                f"the protocol {rules.name} has no stage {name!r}; it has {', '.join(known)}."
                + did_you_mean(name, known)
            )
    if not only:
        return tuple(known)
    wanted = set(only)
    for stage in reversed(STAGES):
        if stage.name in wanted:
            wanted |= {other.name for other in STAGES if set(other.columns) & set(stage.needs)}
    return tuple(name for name in known if name in wanted)


def _sets(rules: Protocol, options: Options, drawn: Input) -> Sets:
    """Return the sets that are named; those that the user names have to be there.

    What the shipped model drew is compared with what that model learned from, whatever training set
    the protocol names.
    """
    specified = {}
    for role, split in (("reference", "test"), ("training", "train"), ("targets", None)):
        given: str | None = getattr(options, role)
        if given is None and role == "training" and drawn.model == SHIPPED:
            given = TRAINING
        if given is not None:
            specified[role] = _named_set(given, split)
        elif role != "targets" and (known := getattr(rules, role)) is not None:
            specified[role] = known
    return Sets(specified)


def _checksum(drawn: Input) -> str:
    """Return what tells whether the same crystals were read: files may be read in several ways."""
    hashed = hashlib.sha256()
    for attempt in drawn.attempts:
        hashed.update(b"-" if attempt.crystal is None else attempt.crystal.digest().encode())
    return hashed.hexdigest()


def _named_set(given: str, split: str | None) -> KnownSet:
    """Return a set that the user names, which has to be there, or to have a name."""
    if names_shipped(given):
        return KnownSet(title=SHIPPED_SETS[given].title, source=given)
    own = given in CATALOGUE
    if not own and not Path(given).exists():
        names = set_names()
        raise InputError(
            f"no file or folder {given}, and no set of crystals of that name; there are "
            f"{', '.join(names)}." + did_you_mean(given, names)
        )
    if own or (Path(given) / ABOUT).is_file():
        return KnownSet.model_validate({"title": Path(given).name, "source": given, "split": split})
    return KnownSet(title=Path(given).name, source=given)


def _own_columns(drawn: Input) -> dict[str, Sequence[Any]]:
    """Return the columns that need no stage."""
    crystals = [attempt.crystal for attempt in drawn.attempts]
    return {
        "index": range(len(crystals)),
        "name": [attempt.name for attempt in drawn.attempts],
        "parsed": [crystal is not None for crystal in crystals],
        "fault": [attempt.fault for attempt in drawn.attempts],
        "problem": [attempt.problem for attempt in drawn.attempts],
        "notes": [" ".join(f"{n}." for n in x.notes) or None for x in drawn.attempts],
        "formula": [None if c is None else reduced_formula(c.numbers) for c in crystals],
        "n_atoms": [None if c is None else len(c) for c in crystals],
    }


def _faults(drawn: Input) -> Counts:
    found = Findings("parsing")
    faults = Counter(attempt.fault for attempt in drawn.attempts if attempt.fault is not None)
    found.counts("faults", "attempts that are no crystal, by fault", faults)
    return found.shares[0]


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Make a folder and hold it, or say why it cannot be had."""
    from filelock import FileLock, Timeout

    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for the report")
    strange = sorted({p.name for p in out.iterdir()} - _OURS) if out.exists() else []
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
