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
from evaluation.measure import close_contacts, infilling_symmetry
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, SRTIO3

CENTRE = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal(length, angle, numbers, positions=CENTRE):
    return Crystal(np.full(3, length), np.full(3, angle), np.array(numbers), positions)


ROCK_SALT = crystal(3.99, 60.0, [11, 17])


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
        module = f"evaluation.measure.{script}"
        ended = subprocess.run(
            [sys.executable, "-m", module, *map(str, options), "--out", "out.json"],
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


def test_perovskites_are_compared_before_and_after(measure, tmp_path):
    perovskite = EXAMPLE_CRYSTALS["srtio3"]
    write_run(tmp_path / "before", [encode(ROCK_SALT), "none"])
    write_run(tmp_path / "after", [encode(perovskite), encode(perovskite)])
    write_table(tmp_path / "perov.parquet", [perovskite, ROCK_SALT], split=["test", "train"])
    report = measure(
        "perovskites",
        *("--before", "before", "--after", "after"),
        *("--reference", "perov.parquet", "--where", "split=test"),
    )
    assert report["before"]["shares"]["recall"]["count"] == 0
    assert report["before"]["without_fingerprint"]["no crystal"] == 1
    assert report["after"]["shares"]["recall"]["share"] == 1
    assert counts(report["after"]["shares"])["five atoms"] == 2
    assert counts(report["before"]["shares"])["structurally valid"] == 1


def test_conditioning_asks_in_each_way_and_counts_every_answer(measure, tmp_path, tiny_model):
    crystals = list(EXAMPLE_CRYSTALS.values())
    write_table(
        tmp_path / "known.parquet", crystals, **{"spacegroup.number": [225, 221, 186, 229, 152]}
    )
    options = ("--n", 4, "--samples", 2, "--tries", 2, "--max-atoms", 8, "--model", tiny_model)
    report = measure("conditioning", "known.parquet", *options)
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
    assert "holds 5 crystals" in measure("conditioning", "known.parquet", "--n", 6)


def test_infilling_ranks_elements_and_compares_volumes(measure, tmp_path, tiny_model):
    write_table(tmp_path / "known.parquet", list(EXAMPLE_CRYSTALS.values()))
    report = measure(*("infilling", "known.parquet", "--n", 4, "--cells", 1, "--model", tiny_model))
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


def test_hidden_orbits_are_counted_where_they_are_found(tmp_path):
    write_table(tmp_path / "known.parquet", [NACL, SRTIO3])
    found = infilling_symmetry.measured(tmp_path / "known.parquet", 2, 2, 0, "shipped")
    assert found["crystals"] == 2
    assert found["shares"]["found first"]["count"] == 2
    assert found["shares"]["refused"]["count"] == 0


def refused(root, script, *options):
    """Return what a script says that ends with the status of bad input."""
    command = [sys.executable, "-m", f"evaluation.{script}", *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == 2
    return ended.stderr


def test_stores_that_cannot_be_written_are_told_before_the_work(root, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = ("--hull", "hull", "--out", tmp_path / "file" / "store")
    known = ("--known", "table.parquet:column")
    assert "cannot be written" in refused(
        root, "shipped_model.select_low_energy", "store", *known, *out
    )
    more = ("--not-in", "known", "--work", tmp_path / "work")
    assert "cannot be written" in refused(
        root, "shipped_model.add_self_generated", "store", "run", *more, *out
    )


def test_a_report_that_is_no_table_is_told(measure, tmp_path):
    write_run(tmp_path / "run", [encode(ROCK_SALT)])
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "structures.parquet").write_text("noise")
    assert "is not a table of crystext evaluate" in measure("own_draws", "run", "report", "store")


def test_too_few_steps_to_tell_a_rate_are_refused(root, tmp_path):
    options = ("--store", tmp_path, "--steps", 39, "--out", tmp_path / "out.json")
    assert "expected 40 or more" in refused(root, "speed.training_speed", *options)


def test_close_contacts_are_counted_by_free_coordinates():
    salt, tight = (
        encode(crystal(length, 60.0, [11, 17]), format="wyckoff") for length in (3.99, 2)
    )
    report = close_contacts.shares([salt, tight, "152\nO 6c 0.413 0.267 0.119\n9.00 9.00", ""])
    assert report["a contact below 0.75"]["count"] == 1
    assert report["by free coordinates"]["0"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert report["by free coordinates"]["3"]["count"] == 0


def test_free_coordinates_are_the_numbers_of_the_orbits():
    quartz = "152\nSi 3a 0.470\nO 6c 0.413 0.267 0.119\n4.91 5.40"
    assert close_contacts.free_coordinates(quartz) == 4
    assert close_contacts.free_coordinates(encode(SRTIO3, format="wyckoff")) == 0
