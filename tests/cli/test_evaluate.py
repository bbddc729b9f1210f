"""`crystext evaluate` as a user runs it."""

import json

import pyarrow.parquet as pq
import pytest

from crystext.io.read import read_crystals
from crystext.io.read.parse import Piece, parse_piece
from tests.evaluate.example_inputs import ROCK_SALT, write_run


def test_stages_are_chosen_and_a_table_is_printed(cli, tmp_path):
    run = write_run(tmp_path / "run")
    ended = cli("evaluate", run, "--only", "validity", "--out", tmp_path / "out", "--workers", 1)
    assert ended.returncode == 0, ended.stderr
    assert "4 of 6" in ended.stdout
    assert "composition valid (SMACT14)" in ended.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["input"]["samples"] == 6
    assert (tmp_path / "out" / "report.html").is_file()


def test_what_was_measured_before_is_not_printed_again(cli, tmp_path):
    run, out = write_run(tmp_path / "run"), tmp_path / "out"
    for stage in ("validity", "geometry"):
        ended = cli("evaluate", run, "--only", stage, "--out", out, "--workers", 1)
        assert ended.returncode == 0, ended.stderr
    assert "geometry" in ended.stdout
    assert "composition valid (SMACT14)" not in ended.stdout
    measured = json.loads((out / "report.json").read_text())["metrics"]
    assert {metric["stage"] for metric in measured} == {"validity", "geometry"}


def test_every_processor_gives_the_same(cli, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    for i in range(130):
        text = ROCK_SALT.structure.to(fmt="cif").replace("3.99", f"{3.5 + i / 100:.2f}")
        (folder / f"{i:03}.cif").write_text(text)
    tables = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        ended = cli("evaluate", folder, "--only", "validity", "--out", out, "--workers", workers)
        assert ended.returncode == 0, ended.stderr
        tables.append((out / "structures.parquet").read_bytes())
    assert tables[0] == tables[1]


def test_what_a_step_of_the_funnel_leaves_is_written(cli, tmp_path):
    run, out = write_run(tmp_path / "run"), tmp_path / "valid.extxyz"
    asked = ("evaluate", run, "--only", "validity", "--out", tmp_path / "out", "--workers", 1)
    ended = cli(*asked, "--keep", "valid", "--write", out)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    valid = next(step["count"] for step in report["funnel"] if step["name"] == "valid")
    assert f"{valid} crystals that are valid" in ended.stdout
    assert len(list(read_crystals(out))) == valid


def test_the_least_alike_of_them_are_written_where_few_are_asked_for(cli, tmp_path):
    mean = ROCK_SALT.lengths.mean()
    alike = [ROCK_SALT.structure.copy() for _ in range(5)]
    for i, structure in enumerate(alike):
        structure.scale_lattice((mean + i / 100) ** 3)
    other = alike[0].copy()
    other.replace_species({"Cl": "I"})
    folder, out = tmp_path / "drawn", tmp_path / "few.parquet"
    folder.mkdir()
    for i, structure in enumerate([*alike, other]):
        structure.to(folder / f"{i}.cif", "cif")
    asked = ("evaluate", folder, "--only", "validity", "--out", tmp_path / "out", "--workers", 1)
    ended = cli(*asked, "--keep", "parsed", "--diverse", 2, "--write", out)
    assert ended.returncode == 0, ended.stderr
    assert "2 crystals that are parsed" in ended.stdout
    assert [row["name"] for row in pq.read_table(out).to_pylist()] == ["0", "5"]


def test_what_is_written_can_be_ordered_by_a_predicted_property(cli, tmp_path):
    run, out = write_run(tmp_path / "run"), tmp_path / "ranked.parquet"
    asked = ("evaluate", run, "--only", "validity", "--out", tmp_path / "out", "--workers", 1)
    ended = cli(*asked, "--keep", "parsed", "--rank-by", "-density", "--write", out)
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(out).to_pylist()
    values = [row["predicted_density"] for row in rows]
    assert values == sorted(values, reverse=True)
    # Each value stands beside the crystal that it was predicted for.
    first = parse_piece(Piece("", "cif", rows[0]["cif"]))[0].crystal
    assert values[0] == pytest.approx(float(first.structure.density), rel=0.2)


def test_crystals_of_a_step_that_was_not_measured_are_refused_and_the_report_is_there(
    cli_refuses, tmp_path
):
    run = write_run(tmp_path / "run")
    asked = ("evaluate", run, "--only", "validity", "--out", tmp_path / "out", "--workers", 1)
    told = cli_refuses(*asked, "--write", tmp_path / "found")
    assert "msun" in told
    assert "metastable, which was not measured" in told
    assert (tmp_path / "out" / "report.json").is_file()
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--protocol", "mp-20"], "Did you mean 'mp20'"),
        (["--only", "validity,novlty"], "Did you mean 'novelty'"),
        (["--reference", "absent.csv"], "absent.csv"),
        (["--keep", "metastabel"], "Did you mean 'metastable'"),
        (["--keep", "valid"], "add --write"),
        (["--diverse", "9"], "add --write"),
        (["--rank-by", "density"], "add --write"),
        (["--rank-by", "densty", "--write", "x.csv"], "Did you mean 'density'"),
        (["--write", "found.doc"], "found.doc ends in .doc"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    cli_refuses, tmp_path, options, told
):
    run = write_run(tmp_path / "run")
    assert told in cli_refuses("evaluate", run, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    cli_refuses, tmp_path
):
    run = write_run(tmp_path / "run")
    asked = ("evaluate", run, "--only", "validity", "--out", tmp_path / "out", "--keep", "valid")
    for place, told in (
        (run, "holds files already"),
        (tmp_path / "found.cif", "is a folder"),
        (run / "attempts.jsonl" / "found", "choose a place"),
        (tmp_path / "out", "is the folder of the report"),
    ):
        (tmp_path / "found.cif").mkdir(exist_ok=True)
        assert told in cli_refuses(*asked, "--write", place)
    assert not (tmp_path / "out").exists()
