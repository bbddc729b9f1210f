"""A run folder that version 0.1 wrote, `run_of_0_1`: it is continued, evaluated and read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crystext.evaluate.samples import read_samples
from crystext.generation.run import read_attempts, run_folder
from crystext.io.read import read_crystals
from crystext.models.digest import model_hash
from crystext.models.layout import open_model
from tests.conftest import Run

OPTIONS = ("--batch-size", 4, "--seed", 3, "--composition", "NaCl", "--until", "satisfied",
           "--max-attempts-per-sample", 20, "--workers", 1)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = Path(shutil.copytree(Path(__file__).parent / "run_of_0_1", tmp_path / "run"))
    # The weights that ship have changed since, and a run goes on with its own alone. What is
    # promised here is of the folder.
    settings = json.loads((run / "settings.json").read_text())
    settings["model_sha256"] = model_hash(open_model("shipped").path)
    (run / "settings.json").write_text(json.dumps(settings))
    return run


def test_it_is_continued_to_the_samples_of_a_run_that_was_made_at_once(
    cli: Run, run: Path, tmp_path: Path
) -> None:
    before = (run / "attempts.jsonl").read_bytes()
    for out in (run, tmp_path / "once"):
        ended = cli("sample", "--n", 8, *OPTIONS, "--out", out)
        assert ended.returncode == 0, ended.stderr
        assert "composition: enforced, satisfied by 8 of 8" in ended.stdout
    after = (run / "attempts.jsonl").read_bytes()
    assert after.startswith(before), "what is there is only ever appended to"
    continued, once = (list(read_attempts(x)) for x in (run, tmp_path / "once"))
    assert [x["index"] for x in continued] == [x["index"] for x in once]
    # What is there was sampled by earlier weights.
    there = len(before.splitlines())
    assert 0 < there < len(once)
    assert continued[there:] == once[there:]
    new = json.loads(after.splitlines()[-1])
    assert {"failure", "attempts", "satisfied"} <= new.keys()
    assert not {"fault", "tries", "matched"} & new.keys()


def test_its_settings_are_told_by_their_present_names(
    cli_refuses: Callable[..., str], run: Path
) -> None:
    settings = run_folder(run).settings()
    assert settings is not None
    assert (settings["max_attempts_per_sample"], settings["min_distance_ratio"]) == (20, 0.65)
    message = cli_refuses("sample", "--n", 8, *OPTIONS, "--min-distance-ratio", 0.5, "--out", run)
    lines = message.splitlines()
    assert "  min_distance_ratio (--min-distance-ratio): 0.65 there, 0.5 here" in lines


def test_it_is_read_and_evaluated(cli: Run, run: Path, tmp_path: Path) -> None:
    assert len(list(read_crystals(run))) == 6
    found = read_samples(run)
    assert found.model == "shipped"
    assert found.samples[0].conditions["composition"] == "NaCl"
    out = tmp_path / "report"
    ended = cli("evaluate", run, "--protocol", "mp20", "--only", "conditioning", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert (
        json.loads((out / "report.json").read_text())["stages"]["conditioning"]["state"] == "done"
    )
