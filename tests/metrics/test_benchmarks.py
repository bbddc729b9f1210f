"""The scripts that measure a model, from end to end, on inputs small enough to count by hand."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.structures.crystal import Crystal
from crystext.text import decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS

CENTRE = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal(length, angle, numbers, positions=CENTRE):
    return Crystal(np.full(3, length), np.full(3, angle), np.array(numbers), positions)


ROCK_SALT = crystal(3.99, 60.0, [11, 17])
POTASH = crystal(4.45, 60.0, [19, 17])
COINCIDING = crystal(3.99, 60.0, [19, 17], CENTRE * 0)
CHLORINE_OXIDE = crystal(3.4, 60.0, [8, 17])


def write_run(run, texts):
    run.mkdir()
    with (run / "attempts.jsonl").open("w") as file:
        for index, text in enumerate(texts):
            fault = decode(text).failure
            row = {"index": index, "prompt": "", "text": text, "fault": fault and fault.name}
            file.write(json.dumps(row) + "\n")


def write_table(path, crystals, **columns):
    cifs = [c.structure.to(fmt="cif") for c in crystals]
    pq.write_table(pa.table({"cif": cifs, **columns}), path)


@pytest.fixture
def measure(root, tmp_path):
    def run(script, *options):
        command = [sys.executable, root / "evaluation" / "benchmarks" / script, *map(str, options)]
        ended = subprocess.run(
            [*command, "--out", "out.json"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root), "PATH": "", "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        if ended.returncode:
            return ended.stderr
        return json.loads((tmp_path / "out.json").read_text())

    return run


def counts(shares):
    return {name: row["count"] for name, row in shares.items()}


def test_coverage_counts_all_attempts_and_keeps_fingerprints(measure, tmp_path):
    write_run(tmp_path / "run", [encode(ROCK_SALT), encode(COINCIDING), "none", encode(ROCK_SALT)])
    write_table(
        tmp_path / "known.parquet",
        [ROCK_SALT, EXAMPLE_CRYSTALS["quartz"], EXAMPLE_CRYSTALS["iron"]],
    )
    options = ("run", "--reference", "known.parquet", "--cache", "cache")
    report = measure("coverage.py", *options)
    assert counts(report["shares"]) == {
        "recall": 1,
        "precision, of all attempts": 2,
        "precision, of those with a fingerprint": 2,
    }
    assert report["shares"]["precision, of all attempts"]["share"] == 0.5
    assert report["shares"]["precision, of those with a fingerprint"]["share"] == 1
    assert report["without_fingerprint"] == {"no crystal": 1, "crystals": 1, "reference": 0}
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {"reference.npz", "drawn.npz"}
    assert measure("coverage.py", *options, "--n", 2)["attempts"] == 2
    assert "holds 4 attempts" in measure("coverage.py", *options, "--n", 5)
    assert "Did you mean 'mp20'" in measure("coverage.py", *options, "--cutoffs", "mp-20")


def test_perovskites_are_compared_before_and_after(measure, tmp_path):
    perovskite = EXAMPLE_CRYSTALS["srtio3"]
    write_run(tmp_path / "before", [encode(ROCK_SALT), "none"])
    write_run(tmp_path / "after", [encode(perovskite), encode(perovskite)])
    write_table(tmp_path / "perov.parquet", [perovskite, ROCK_SALT], split=["test", "train"])
    report = measure(
        "perovskites.py",
        *("--before", "before", "--after", "after"),
        *("--reference", "perov.parquet", "--where", "split=test"),
    )
    assert report["before"]["shares"]["recall"]["count"] == 0
    assert report["after"]["shares"]["recall"]["share"] == 1
    assert counts(report["after"]["shares"])["five atoms"] == 2
    assert counts(report["before"]["shares"])["structurally valid"] == 1


def test_stability_counts_what_cannot_be_judged(measure, tmp_path, shared_data):
    texts = [encode(c) for c in (ROCK_SALT, COINCIDING, POTASH, CHLORINE_OXIDE, ROCK_SALT)]
    write_run(tmp_path / "run", [*texts[:2], "none", *texts[2:]])
    options = (
        *("run", "--n", 6, "--hull", shared_data / "hull"),
        *("--potential", shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"),
    )
    report = measure("stability.py", *options)
    assert report["attempts"] == 6
    shares = counts(report["shares"])
    assert shares["relaxed"] == 4
    assert shares["below 0.1 eV/atom"] == 3
    assert shares["formulas below 0.1 eV/atom"] == 2
    assert {name: row["count"] for name, row in report["outcomes"].items()} == {
        "CONVERGED": 4,
        "TOO_CLOSE": 1,
        "BAD_LENGTHS": 1,
    }
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(6))
    # Rock salt and sylvite are the ground states.
    assert abs(rows[0]["e_above_hull_ev_per_atom"]) < 0.05
    assert rows[0]["formation_energy_ev_per_atom"] == pytest.approx(-2.1, abs=0.1)
    before = (tmp_path / "run" / "relaxations" / "relaxations.jsonl").read_bytes()
    measure("stability.py", *options)
    assert (tmp_path / "run" / "relaxations" / "relaxations.jsonl").read_bytes() == before


def test_conditioning_asks_in_each_way_and_counts_every_answer(measure, tmp_path, tiny_model):
    crystals = list(EXAMPLE_CRYSTALS.values())
    write_table(
        tmp_path / "known.parquet", crystals, **{"spacegroup.number": [225, 221, 186, 229, 152]}
    )
    options = ("--n", 4, "--samples", 2, "--tries", 2, "--max-atoms", 8, "--model", tiny_model)
    report = measure("conditioning.py", "known.parquet", *options)
    free, enforced = (report["both"][how] for how in ("prompt alone", "enforced"))
    assert set(free) == {
        "crystals",
        "composition as asked for",
        "space_group as asked for",
        "all as asked for",
        "prompts with an answer as asked for",
        "tries_of_an_attempt",
        "refused",
        "processor_ms_per_token",
    }
    for way in ("formula", "both"):
        asked = 4 - report[way]["too_large_to_ask_for"]
        seen_to = report[way]["enforced"]
        assert seen_to["crystals"]["count"] == 2 * asked
        assert seen_to["composition as asked for"]["count"] == 2 * asked
        # A model of random weights does not know formulas by itself.
        assert report[way]["prompt alone"]["composition as asked for"]["count"] < asked
    assert enforced["tries_of_an_attempt"] == 1
    assert 1 < report["space group"]["enforced, up to 2 tries"]["tries_of_an_attempt"] <= 2
    assert "holds 5 crystals" in measure("conditioning.py", "known.parquet", "--n", 6)


def test_infilling_ranks_elements_and_compares_volumes(measure, tmp_path, tiny_model):
    write_table(tmp_path / "known.parquet", list(EXAMPLE_CRYSTALS.values()))
    report = measure(
        *("infilling.py", "known.parquet", "--n", 4, "--cells", 1, "--model", tiny_model)
    )
    element = report["element"]
    assert 1 <= element["mean_rank"] <= 118
    within = [element["shares"][f"true element among the first {k}"]["count"] for k in (1, 3, 5)]
    assert within == sorted(within)
    assert element["mean_log_probability"] < 0
    for way in ("first proposal", "most probable", "drawn at temperature 1"):
        ratio, shares = report["cell"][way]["median_volume_ratio"], report["cell"][way]["shares"]
        # Of one cell, the median is its own.
        assert shares["a cell"]["count"] == (ratio is not None)
        assert shares["volume within 10%"]["count"] == (ratio is not None and 0.9 <= ratio <= 1.1)
    # With constraints, even a model of random weights writes a cell, and hardly ever without.
    assert report["cell"]["first proposal"]["shares"]["a cell"]["count"] == 1
    assert report["cell"]["drawn at temperature 1"]["shares"]["a cell"]["count"] == 0


def refused(root, script, *options):
    """Return what a script says that ends with the status of bad input."""
    command = [sys.executable, root / "evaluation" / script, *map(str, options)]
    paths = f"{root}:{root / 'evaluation'}"
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == 2
    return ended.stderr


def test_stores_that_cannot_be_written_are_told_before_the_work(root, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = ("--hull", "hull", "--out", tmp_path / "file" / "store")
    known = ("--known", "table.parquet:column")
    assert "cannot be written" in refused(root, "low_energy_store.py", "store", *known, *out)
    more = ("--not-in", "known", "--work", tmp_path / "work")
    assert "cannot be written" in refused(root, "own_draws_store.py", "store", "run", *more, *out)


def test_a_report_that_is_no_table_is_told(measure, tmp_path):
    write_run(tmp_path / "run", [encode(ROCK_SALT)])
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "structures.parquet").write_text("noise")
    assert "is no table of crystext evaluate" in measure("own_draws.py", "run", "report", "store")


def test_too_few_steps_to_tell_a_rate_are_refused(root, tmp_path):
    options = ("--store", tmp_path, "--steps", 39)
    assert "expected 40 or more" in refused(root, "benchmarks/training_speed.py", *options)


def test_results_are_joined_by_their_names(measure, tmp_path):
    from crystext.data.store import write_store
    from crystext.structures.record import Record

    write_run(tmp_path / "run", [encode(ROCK_SALT)])
    write_table(tmp_path / "known.parquet", [ROCK_SALT])
    measure("coverage.py", "run", "--reference", "known.parquet")
    (tmp_path / "out.json").rename(tmp_path / "coverage.json")
    write_store(tmp_path / "train", {"train": [Record(POTASH)]})
    report = measure("sample_quality.py", "run", "--train", "train", "--join", "coverage.json")
    assert report["joined"]["coverage"]["shares"]["recall"]["count"] == 1
    assert "is no result" in measure(
        "sample_quality.py", "run", "--train", "train", "--join", "known.parquet"
    )
