"""Run a benchmark: fit and ask every method on every task, one resumable unit at a time.

    OUT/settings.json         what the predictions depend on; other settings are refused
    OUT/predictions/UNIT.jsonl  one line per test record: answer, value, target
    OUT/units.jsonl           one line per finished unit
    OUT/results.json          see `results`
    OUT/report.html           the page for people

A unit is one task, method and fold. A kill loses at most the rows that were being predicted: what
stands in `predictions` is not predicted again. Tasks and methods can be added to a folder; the
results cover everything in it that the command names.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from crystext.benchmark.data import SuiteData, TaskData, TaskFold
from crystext.benchmark.entries import Entry
from crystext.benchmark.suite import BenchmarkTask, Suite
from crystext.benchmark.unit_files import UNITS_FILE, UnitFiles, UnitKey, cut_to_whole_parts
from crystext.errors import CrystextError, InputError, RunError
from crystext.predict.base import Predictions, Predictor
from crystext.runtime.files import json_digest
from crystext.runtime.run_folder import JsonLines, RunFolder
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Record

PREDICTIONS_FOLDER = "predictions"

_OWNED = (
    "settings.json",
    "starts.jsonl",
    UNITS_FILE,
    PREDICTIONS_FOLDER,
    "results.json",
    "report.html",
)

_FINISHED = ("n_train", "n_validation", "train_mean", "leak", "seconds")
"""Values of a finished unit's line, besides what identifies it."""

ReportProgress = Callable[[str, int, int, str], object]
"""Takes a task's name, the steps done, their total, and a note."""


@dataclass(frozen=True)
class RunSettings:
    """What a run's predictions depend on, besides data and methods."""

    seed: int = 0
    """Of methods."""
    n: int | None = None
    """Only the first n test records of each fold; None is all."""
    keeps_leaks: bool = False
    """Whether CIFs keep the lines that state the target."""


@dataclass(frozen=True)
class Row:
    """What a method said about one test record."""

    id: str
    target: float
    value: float
    """nan without a valid answer."""
    message: str = ""
    answer: str = ""
    mean: float = math.nan
    mode: float = math.nan
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By level, such as `0.9`."""

    def line(self) -> str:
        """Return the row as a line of JSON; missing numbers and texts are left out."""
        values: dict[str, Any] = {"id": self.id, "target": self.target}
        for name in ("value", "mean", "mode"):
            if math.isfinite(number := getattr(self, name)):
                values[name] = number
        for name in ("message", "answer"):
            if text := getattr(self, name):
                values[name] = text
        if self.intervals:
            values["intervals"] = {level: list(ends) for level, ends in self.intervals.items()}
        return json.dumps(values) + "\n"

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Row:
        """Return the row of a line."""
        value, mean, mode = (float(values.get(x, math.nan)) for x in ("value", "mean", "mode"))
        return cls(
            str(values["id"]),
            float(values["target"]),
            value,
            str(values.get("message", "")),
            str(values.get("answer", "")),
            mean,
            mode,
            {
                x: (float(low), float(high))
                for x, (low, high) in values.get("intervals", {}).items()
            },
        )


@dataclass(frozen=True)
class Unit:
    """A finished unit: its records, and what was said about them."""

    task: BenchmarkTask
    target: Property
    method: str
    fold: str
    n_train: int
    n_validation: int
    train_mean: float
    """Mean of the training labels: the answer of the mean predictor."""
    leak: Mapping[str, Any]
    seconds: float
    rows: Sequence[Row]

    @property
    def targets(self) -> Floats:
        """(N,) true values."""
        return np.array([row.target for row in self.rows], dtype=np.float64)

    @property
    def values(self) -> Floats:
        """(N,) answers, nan without a valid one."""
        return np.array([row.value for row in self.rows], dtype=np.float64)


@dataclass(frozen=True)
class UnitError:
    """A unit that has no result, and why."""

    task: BenchmarkTask
    method: str
    fold: str
    message: str


class BenchmarkRun:
    """A run folder with its finished units."""

    def __init__(
        self,
        suite: Suite,
        data: SuiteData,
        entries: Sequence[Entry],
        folder: Path,
        settings: RunSettings,
    ) -> None:
        """Describe a run; nothing is written yet."""
        self.suite, self.data, self.entries = suite, data, entries
        self.settings = settings
        self.folder = RunFolder(
            folder,
            "a benchmark",
            owned=_OWNED,
            option_names={"suite": None, "suite_digest": None, "keeps_leaks": "--keep-cell-volume"},
        )
        self._files = UnitFiles(self.folder, PREDICTIONS_FOLDER)
        self._identities = {entry.label: json_digest(entry.identity()) for entry in entries}
        self._file_digests = data.digests()

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share."""
        return {
            "suite": self.suite.name,
            "suite_digest": self.suite.digest,
            "input": self.data.input_name,
            **vars(self.settings),
        }

    def run(
        self, tasks: Sequence[BenchmarkTask], progress: ReportProgress
    ) -> Iterator[Unit | UnitError]:
        """Yield every unit of these tasks, as soon as it is finished.

        A unit that cannot be fitted, such as one with a constant target, is yielded as an error,
        and the others run.

        Raises:
            RunError: the folder holds something else or a run with other settings, or cannot be
                written.
            InUseError: another process writes to the folder.
        """
        self.folder.check_contents()
        with self.folder.locked():
            self.folder.check_settings(self.identity())
            self.folder.write_settings(self.identity())
            self.folder.record_start({"methods": [entry.label for entry in self.entries]})
            self._files.prepare()
            for task in tasks:
                yield from self._run_task(task, progress)

    def _run_task(
        self, task: BenchmarkTask, progress: ReportProgress
    ) -> Iterator[Unit | UnitError]:
        try:
            data = prepare_task(self.data.load(task), self.settings)
        except InputError as error:
            for entry in self.entries:
                yield UnitError(task, entry.label, "", str(error))
            return
        for entry in self.entries:
            for fold in data.folds:
                try:
                    yield self._run_unit(data, entry, fold, progress)
                except RunError:
                    raise
                except CrystextError as error:
                    yield UnitError(task, entry.label, fold.name, str(error))

    def _run_unit(
        self, data: TaskData, entry: Entry, fold: TaskFold, progress: ReportProgress
    ) -> Unit:
        identity = [
            self._identities[entry.label],
            {
                name: digest
                for name, digest in self._file_digests.items()
                if name.partition("/")[0] == data.task.dataset
            },
            data.task.split.model_dump() if data.task.split else None,
        ]
        values = {"task": data.task.name, "method": entry.label, "fold": fold.name}
        key = UnitKey(values, json_digest(identity))
        lines = JsonLines(self._files.path(key), Row.parse, "a prediction")
        finished = self._files.finished(key)
        if finished is None:
            finished = self._predict(data, entry, fold, key, lines, progress)
        known = {name: finished[name] for name in _FINISHED}
        return Unit(data.task, data.target, entry.label, fold.name, rows=list(lines), **known)

    def _predict(
        self,
        data: TaskData,
        entry: Entry,
        fold: TaskFold,
        key: UnitKey,
        lines: JsonLines[Row],
        progress: ReportProgress,
    ) -> dict[str, Any]:
        name, title = data.task.label, key.title
        start, total = time.monotonic(), len(fold.test)
        done = cut_to_whole_parts(lines, entry.rows_at_once, total)
        progress(title, done, total, "fitting")
        if done < total:
            method = entry.method(data)
            predictor = method.fit(
                fold.train,
                fold.validation,
                {name: data.target},
                seed=self.settings.seed,
            )
        with self.folder.writing(), lines.appending() as append:
            while done < total:
                part = fold.test[done : done + entry.rows_at_once]
                append(row.line() for row in predict_rows(predictor, part, name))
                done += len(part)
                progress(title, done, total, "")
        finished = {
            "n_train": len(fold.train),
            "n_validation": len(fold.validation),
            "train_mean": float(np.mean([float(x.labels[name]) for x in fold.train])),
            "leak": asdict(fold.leak),
            "seconds": round(time.monotonic() - start, 3),
        }
        self._files.finish(key, finished)
        return finished


def prepare_task(data: TaskData, settings: RunSettings) -> TaskData:
    """Return a task's records as methods get them: the first n of a test part, without leaks."""
    tags = () if settings.keeps_leaks else data.task.spec.cif_leaks
    folds = tuple(
        TaskFold(
            fold.name,
            *(
                tuple(without_cif_tags(record, tags) for record in part) if tags else part
                for part in (fold.train, fold.validation, fold.test[: settings.n])
            ),
        )
        for fold in data.folds
    )
    return replace(data, folds=folds)


def without_cif_tags(record: Record, tags: Sequence[str]) -> Record:
    """Return a record whose CIF has no line with any of these tags, such as `_cell_volume`."""
    text = record.texts.get("cif")
    if text is None:
        return record
    pattern = rf"^[ \t]*(?:{'|'.join(map(re.escape, tags))})(?:[ \t][^\n]*)?(?:\n|\Z)"
    stripped = re.sub(pattern, "", text, flags=re.MULTILINE)
    return replace(record, texts={**record.texts, "cif": stripped})


def predict_rows(predictor: Predictor, records: Sequence[Record], name: str) -> list[Row]:
    """Return what a predictor says about labelled records."""
    found: Predictions = predictor.predict(records, [name])[name]
    rows = []
    for i, record in enumerate(records):
        rows.append(
            Row(
                record.id,
                float(record.labels[name]),
                float(found.values[i]),
                found.problems[i],
                found.answers[i] if found.answers else "",
                math.nan if found.means is None else float(found.means[i]),
                math.nan if found.modes is None else float(found.modes[i]),
                {
                    f"{level:g}": (float(ends[i][0]), float(ends[i][1]))
                    for level, ends in found.intervals.items()
                    if np.isfinite(ends[i]).all()
                },
            )
        )
    return rows
