"""The benchmark script from end to end, on a run small enough to count by hand."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.data.store import write_store
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.text import decode, encode

CENTRE = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal(length, angle, numbers, positions=CENTRE):
    return Crystal(np.full(3, length), np.full(3, angle), np.array(numbers), positions)


ROCK_SALT = crystal(3.99, 60.0, [11, 17])
BRASS = crystal(2.95, 90.0, [29, 30])
OVERLAPPING = crystal(3.99, 60.0, [19, 17], np.array([[0, 0, 0], [0.02, 0.02, 0.02]]))
TEXTS = [
    encode(ROCK_SALT),
    encode(BRASS),
    encode(ROCK_SALT),
    encode(OVERLAPPING),
    "no crystal",
    encode(ROCK_SALT)[:-3],
]


def write_attempts(run, texts):
    run.mkdir()
    with (run / "attempts.jsonl").open("w") as file:
        for index, text in enumerate(texts):
            fault = decode(text).failure
            row = {"index": index, "prompt": "", "text": text, "fault": fault and fault.name}
            file.write(json.dumps(row) + "\n")


@pytest.fixture
def measure(root, tmp_path):
    write_store(tmp_path / "store", {"train": [Record(BRASS)]})
    cifs = [ROCK_SALT.structure.to(fmt="cif"), BRASS.structure.to(fmt="cif")]
    pq.write_table(pa.table({"cif": cifs}), tmp_path / "reference.parquet")

    def run(*options):
        script = root / "evaluation" / "benchmarks" / "sample_quality.py"
        command = [sys.executable, script, "run", "--train", "store", "--out", "out.json"]
        return subprocess.run(
            [*command, *options],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root), "PATH": "", "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_share_divides_by_all_attempts(measure, tmp_path):
    write_attempts(tmp_path / "run", TEXTS)
    ended = measure("--reference", "reference.parquet")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["attempts"] == 6
    counts = {name: row["count"] for name, row in report["shares"].items()}
    assert counts == {
        "parsed": 4,
        "structurally valid": 3,
        "structurally valid, self-images included": 3,
        "composition valid, smact14": 4,
        "composition valid, smact14, no alloy shortcut": 3,
        "composition valid, icsd24": 4,
        "composition valid, icsd24, no alloy shortcut": 3,
        "valid (structure, smact14)": 3,
        "unique": 3,
        "matching a training structure": 1,
        "valid, unique and novel": 1,
        "too thin to be matched": 0,
        "unique formulas": 3,
        "space group P1": 0,
    }
    for row in report["shares"].values():
        assert row["share"] == pytest.approx(row["count"] / 6, abs=1e-4)
        assert row["interval_95"][0] <= row["share"] <= row["interval_95"][1]
    assert {name: row["count"] for name, row in report["faults"].items()} == {
        "BAD_LENGTHS": 1,
        "TRUNCATED": 1,
    }
    assert report["most_frequent_formulas"]["NaCl"]["count"] == 2
    assert report["space_groups"]["225 Fm-3m"]["count"] == 2
    assert report["means_over_parsed"] == {"atoms": 2, "elements": 2}
    assert report["wasserstein"]["of_valid"]["n_elements"] == 0


def test_a_torn_line_is_answered_with_one_message(measure, tmp_path):
    write_attempts(tmp_path / "run", TEXTS)
    path = tmp_path / "run" / "attempts.jsonl"
    path.write_text(path.read_text()[:-20])
    ended = measure()
    assert ended.returncode == 2
    assert "line 6" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out.json").exists()


def test_attempts_of_another_format_are_refused(measure, tmp_path):
    write_attempts(tmp_path / "run", [encode(ROCK_SALT, format="gruver2024")])
    ended = measure()
    assert ended.returncode == 2
    assert "WRONG_PRECISION" in ended.stderr


def test_a_folder_without_attempts_is_named(measure):
    ended = measure()
    assert ended.returncode == 2
    assert "attempts.jsonl" in ended.stderr
    assert "Traceback" not in ended.stderr
