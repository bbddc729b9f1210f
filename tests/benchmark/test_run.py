"""A run is resumed from its folder: nothing that was written is made again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from crystext.benchmark.data import SuiteData, TaskData
from crystext.benchmark.entries import Entry
from crystext.benchmark.measure import BenchmarkOptions, benchmark
from crystext.benchmark.run import BenchmarkRun, Row, RunSettings, Unit, UnitError
from crystext.benchmark.suite import load_suite, select_tasks
from crystext.errors import InputError, RunError
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from tests.benchmark.example_suite import rows, write_example, write_table
from tests.chat_models import write_chat_model


class LengthPredictor(Predictor):
    """Predicts the length of a record's formula."""

    def __init__(self, method: CountingMethod, targets: Mapping[str, Property]) -> None:
        self.method, self.properties = method, targets

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        self.method.predicted.extend(record.id for record in records)
        if len(self.method.predicted) > self.method.limit:
            raise KeyboardInterrupt
        values = np.array([float(len(record.texts["formula"])) for record in records])
        return {
            name: Predictions(self.properties[name], values, ("",) * len(records))
            for name in properties or self.properties
        }


class CountingMethod(Method):
    """A method that remembers what it was asked, and is interrupted after some records."""

    name = "length"
    title = "length of the formula"

    def __init__(self, limit: int = 10**9) -> None:
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "predicted", [])
        object.__setattr__(self, "fitted", 0)

    limit: int
    predicted: list[str]

    def _fit(self, data: LabelledRecords, seed: int) -> Predictor:
        if "volume" in data.targets:
            raise InputError("volume: all labels are the same")
        return LengthPredictor(self, data.targets)


class CountingEntry(Entry):
    """The entry of such a method."""

    label, title, rows_at_once = "length", "length", 5

    def __init__(self, method: CountingMethod, version: int = 1) -> None:
        self.counting, self.version = method, version

    def identity(self) -> int:
        return self.version

    def method(self, data: TaskData) -> Method:
        return self.counting


def run(
    suite: Path,
    out: Path,
    method: CountingMethod,
    *tasks: str,
    version: int = 1,
    n: int | None = None,
) -> list[Unit | UnitError]:
    loaded = load_suite(suite)
    chosen = select_tasks(loaded, tasks or ("salts/gap",))
    data = SuiteData(loaded, suite.parent, "formula", chosen)
    entry = CountingEntry(method, version)
    started = BenchmarkRun(loaded, data, [entry], out, RunSettings(n=n))
    return list(started.run(chosen, lambda *_: None))


def test_a_finished_unit_is_not_run_again(tmp_path: Path) -> None:
    suite, out = write_example(tmp_path), tmp_path / "out"
    (first,) = run(suite, out, CountingMethod())
    method = CountingMethod()
    (again,) = run(suite, out, method)
    assert method.predicted == []
    assert again == first
    assert isinstance(first, Unit)
    assert len(first.rows) == 24


def test_an_interrupted_unit_continues_where_it_stopped(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(suite, tmp_path / "out", CountingMethod(limit=14))
    method = CountingMethod()
    (resumed,) = run(suite, tmp_path / "out", method)
    (whole,) = run(suite, tmp_path / "other", CountingMethod())
    assert isinstance(resumed, Unit)
    assert isinstance(whole, Unit)
    assert resumed.rows == whole.rows
    assert len(method.predicted) == 24 - 10


@pytest.mark.parametrize("cut", [1, 70, 400])
def test_a_torn_file_of_predictions_is_completed(tmp_path: Path, cut: int) -> None:
    suite, out = write_example(tmp_path), tmp_path / "out"
    (whole,) = run(suite, out, CountingMethod())
    (path,) = (out / "predictions").iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    (out / "units.jsonl").write_text('{"task": "salts/g')
    (again,) = run(suite, out, CountingMethod())
    assert isinstance(again, Unit)
    assert isinstance(whole, Unit)
    assert again.rows == whole.rows
    assert len((out / "units.jsonl").read_text().splitlines()) == 1


def test_a_unit_that_cannot_be_fitted_stops_no_other(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    units = run(suite, tmp_path / "out", CountingMethod(), "salts")
    names = {unit.task.label: type(unit) for unit in units}
    assert names == {"gap": Unit, "volume": UnitError, "is_oxide": Unit}


def test_other_settings_data_and_models_are_refused(tmp_path: Path) -> None:
    suite, out = write_example(tmp_path), tmp_path / "out"
    run(suite, out, CountingMethod())
    with pytest.raises(RunError, match=r"n \(--n\): not given there, 5 here"):
        run(suite, out, CountingMethod(), n=5)
    with pytest.raises(RunError, match="of other data, another model"):
        run(suite, out, CountingMethod(), version=2)
    write_table(tmp_path / "salts" / "test.csv", rows(9))
    with pytest.raises(RunError, match="of other data, another model"):
        run(suite, out, CountingMethod())


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="other files"):
        run(write_example(tmp_path), tmp_path / "out", CountingMethod())


def test_a_row_is_read_as_it_was_written() -> None:
    row = Row("a", 1.0, 2.0, "", "{2}", 2.5, 1.5, {"0.9": (1.0, 3.0)})
    assert Row.parse(json.loads(row.line())) == row
    failed = Row("a", 1.0, float("nan"), "no number", "none")
    assert repr(Row.parse(json.loads(failed.line()))) == repr(failed)


def test_a_killed_run_of_a_chat_model_resumes_to_the_same_answers(tmp_path: Path) -> None:
    suite = write_example(tmp_path, n_train=12, n_test=100)
    model = write_chat_model(tmp_path / "chat")
    options = ("--tasks", "salts/gap", "--temperature", 1, "--max-new-tokens", 16)
    command = [
        sys.executable, "-m", "crystext", "benchmark", suite, "--data", tmp_path,
        "--method", f"chat:{model}", *options, "--out", tmp_path / "out",
    ]  # fmt: skip
    process = subprocess.Popen(
        [str(x) for x in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = tmp_path / "out" / "predictions"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if folder.is_dir() and any(path.stat().st_size for path in folder.iterdir()):
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (
        subprocess.run([str(x) for x in command], check=False, capture_output=True).returncode == 0
    )
    other = [*command[:-1], tmp_path / "whole"]
    assert subprocess.run([str(x) for x in other], check=False, capture_output=True).returncode == 0
    found = [
        path.read_bytes()
        for x in ("out", "whole")
        for path in (tmp_path / x / "predictions").iterdir()
    ]
    assert found[0] == found[1]
    assert found[0].count(b"\n") == 38


def test_methods_can_be_added_to_a_folder(tmp_path: Path) -> None:
    suite, out = write_example(tmp_path), tmp_path / "out"
    benchmark(suite, tmp_path, ["mean"], out, BenchmarkOptions(tasks=["salts/gap"]))
    lines = (out / "units.jsonl").read_text()
    results = benchmark(suite, tmp_path, ["mean", "forest"], out)
    assert (out / "units.jsonl").read_text().startswith(lines)
    assert len(results.units) == 6
