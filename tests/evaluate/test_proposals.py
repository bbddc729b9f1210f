"""Structure prediction from several proposals, from samples to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crystext.errors import InputError
from crystext.evaluate.report import Report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.io.write import write_crystals
from crystext.structures.crystal import Crystal
from crystext.text import encode
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, two_atom_crystal, write_run, write_table

CSCL = two_atom_crystal(3.4, 90.0, [11, 17])
BRASS_AS_SALT = two_atom_crystal(3.9, 60.0, [29, 30])
REQUESTS = [[{"name": "composition", "requested": x}, {"name": "n_atoms", "requested": "2"}]
            for x in ("NaCl", "ZnCu") for _ in range(3)]  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    return write_table(
        tmp_path / "targets.parquet", [ROCK_SALT, BRASS], material_id=["salt", "brass"]
    )


def evaluated(samples: Path, targets: Path, out: Path, **options: Any) -> Report:
    given = EvaluationOptions(targets=str(targets), **options)
    return evaluate_samples(samples, "csp-mp20", out, only=["proposals"], options=given)


def values(report: Report) -> dict[str, float | None]:
    return {x.name: x.value for x in report.metrics if x.stage == "proposals"}


def test_proposals_of_a_run_follow_their_targets(tmp_path: Path, targets: Path) -> None:
    texts = [encode(CSCL), encode(ROCK_SALT), encode(ROCK_SALT), "none", encode(CSCL), "none"]
    report = evaluated(write_run(tmp_path / "run", texts, REQUESTS), targets, tmp_path / "out")
    found = values(report)
    assert found["match_rate_1"] == 0
    # Brass was asked for, and none of its proposals is that: a failed formula is no match.
    assert found["match_rate_3"] == found["metre_3"] == found["match_rate_votes"] == 0.5
    assert found["rmse_3"] == pytest.approx(0, abs=2e-3)
    metric = report.metric("proposals", "match_rate_3")
    assert metric is not None
    assert metric.total == 2
    assert metric.low is not None
    assert "match_rate_20" not in found
    assert "match_rate_likelihood" not in found
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    assert table["target"].tolist() == ["salt"] * 3 + ["brass"] * 3
    assert table["proposal"].tolist() == [1, 2, 3] * 2
    assert table["proposal_match"].tolist() == [False, True, True, False, False, False]


def test_samples_of_another_request_are_refused(tmp_path: Path, targets: Path) -> None:
    texts = [encode(ROCK_SALT)] * 6
    run = write_run(tmp_path / "run", texts, REQUESTS[::-1])
    with pytest.raises(InputError, match=r"requested as ZnCu, 2 atoms.*target is NaCl"):
        evaluated(run, targets, tmp_path / "out")
    run = write_run(tmp_path / "five", texts[:5])
    with pytest.raises(InputError, match=r"5 samples for 2 targets.*--formulas-of"):
        evaluated(run, targets, tmp_path / "out")


def test_proposals_of_a_file_are_known_by_the_names_of_targets(
    tmp_path: Path, targets: Path
) -> None:
    named = [("brass_0", BRASS_AS_SALT), ("salt", ROCK_SALT), ("brass_1", BRASS)]
    write_crystals(named, tmp_path / "theirs.parquet")
    found = values(evaluated(tmp_path / "theirs.parquet", targets, tmp_path / "out"))
    assert (found["match_rate_1"], found["match_rate_2"]) == (0.5, 1)
    write_crystals([*named, ("bras_2", BRASS)], tmp_path / "more.parquet")
    with pytest.raises(InputError, match=r"1 sample of more\.parquet .* first 'bras_2'"):
        evaluated(tmp_path / "more.parquet", targets, tmp_path / "out")


def test_the_most_probable_and_the_most_frequent_proposal_are_told_apart(
    tmp_path: Path, targets: Path
) -> None:
    texts = [encode(x) for x in (CSCL, CSCL, ROCK_SALT, BRASS, BRASS, BRASS_AS_SALT)]
    run = write_run(tmp_path / "run", texts, REQUESTS)
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    for line, value in zip(lines, (-9.0, -8.0, -1.0, -9.0, -8.0, -1.0), strict=True):
        line["log_probability"] = value
    (run / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = values(evaluated(run, targets, tmp_path / "out"))
    # Salt by likelihood, brass by number.
    assert found["match_rate_likelihood"] == found["match_rate_votes"] == 0.5
    assert (found["match_rate_1"], found["match_rate_3"]) == (0.5, 1)


def test_of_equal_proposals_the_most_probable_is_relaxed(tmp_path: Path) -> None:
    cell = two_atom_crystal(2.55, 60.0, [29, 29])
    copper = Crystal(cell.lengths, cell.angles, cell.numbers[:1], cell.positions[:1])
    targets = write_table(tmp_path / "cu.parquet", [copper], material_id=["cu"])
    run = write_run(tmp_path / "run", [encode(copper)] * 3)
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    for line, value in zip(lines, (-2.0, 0.0, -1.0), strict=True):
        line["log_probability"] = value
    (run / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluated(run, targets, tmp_path / "out", potential="tests.process_tasks:emt")
    energies = pd.read_parquet(tmp_path / "out" / "structures.parquet")["proposal_energy"]
    assert energies.isna().tolist() == [True, False, True]
    assert list((tmp_path / "out" / "work" / "shared").glob("relaxations-*"))


def test_a_potential_ranks_by_energy(tmp_path: Path) -> None:
    """By EMT, copper is lower in its own structure than in a simple cubic one."""

    def copper(length: float, angle: float) -> Crystal:
        one = two_atom_crystal(length, angle, [29, 29])
        return Crystal(one.lengths, one.angles, one.numbers[:1], one.positions[:1])

    targets = write_table(tmp_path / "cu.parquet", [copper(2.55, 60.0)], material_id=["cu"])
    cubic = [("cu_0", copper(2.4, 90.0)), ("cu_1", copper(2.4, 90.0)), ("cu_2", copper(2.6, 60.0))]
    write_crystals(cubic, tmp_path / "cu_proposals.parquet")
    report = evaluated(
        tmp_path / "cu_proposals.parquet",
        targets,
        tmp_path / "out",
        potential="tests.process_tasks:emt",
    )
    found = values(report)
    assert (found["match_rate_votes"], found["match_rate_energy"]) == (0, 1)
    energies = pd.read_parquet(tmp_path / "out" / "structures.parquet")["proposal_energy"]
    # Of equal proposals one is relaxed.
    assert energies.isna().tolist() == [False, True, False]
