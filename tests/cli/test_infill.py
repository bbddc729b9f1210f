from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crystext.cli.main import main
from crystext.io.read.partial_structures import read_partial_structure
from crystext.io.write import cif, write_crystals
from tests.conftest import Run
from tests.example_crystals import SRTIO3
from tests.io.read.test_partial_structures import cif_of

ROWS = ["O_a O 0.5 0.5 0.0123456", "M1 ? 0.5 0.5 0.5", "Sr_b Sr 0 0 0"]


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """A CIF in which an element is not known."""
    path = tmp_path / "gaps.cif"
    path.write_text(cif_of(ROWS))
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.cif"
    path.write_text(cif(SRTIO3))
    return path


@pytest.fixture
def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs the command in this process, since there are many, and returns what it refuses with."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["crystext", "infill", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert end.value.code == 2
        assert said.out == ""
        assert said.err.count("crystext:") == 1
        return said.err

    return run


def test_a_cif_with_question_marks_is_completed_and_written(
    cli: Run, gaps: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = cli(
        "infill", gaps, "--model", tiny_model, "--n", 3, "--candidates", "Ti,Zr,Hf,Sn",
        "--coordinates", "Sr_b", "--out", out,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "M1 ? ->" in ended.stdout
    lines = (out / "infill_results.jsonl").read_text().splitlines()
    files = sorted((out / "cif").iterdir())
    assert len(lines) == len(files) > 0
    given = read_partial_structure(gaps)
    for line, path in zip(lines, files, strict=True):
        record, sites = json.loads(line), read_partial_structure(path)
        assert record["symbols"][0] == "O"
        assert record["symbols"][1] in ("Ti", "Zr", "Hf", "Sn")
        assert record["lengths"] == given.lengths.tolist() == sites.lengths.tolist()
        assert record["positions"][:2] == given.positions[:2].tolist()
        assert sites.positions.tolist() == record["positions"]
        assert list(sites.labels) == record["labels"]
        assert sites.labels[0] == "O_a"
        assert {change["label"] for change in record["changes"]} == {"M1", "Sr_b"}


def test_every_option_reaches_the_proposals(
    cli: Run, whole: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = cli(
        "infill", whole, "--model", tiny_model, "--site", 0, "--with", "F,S", "--replace", "Ti",
        "--cell", "--add", "2 Cl", "--exclude", "H", "--draw", "--seed", 3, "--temperature", 0.7,
        "--top-p", 0.9, "--min-distance-ratio", 0.5, "--max-atoms", 8, "--batch-size", 2, "-n", 4,
        "--out", out, "--to", "extxyz",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    records = [json.loads(line) for line in (out / "infill_results.jsonl").read_text().splitlines()]
    assert (out / "crystals.extxyz").is_file()
    for record in records:
        assert record["symbols"][0] in ("F", "S")
        assert record["symbols"][1:3] == ["O", "O"]
        assert record["symbols"][5:] == ["Cl", "Cl"]
        assert record["positions"][:5] == SRTIO3.positions.tolist()


def test_an_asymmetric_unit_is_completed_with_its_symmetry(
    cli: Run, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    rows = ["Ti1 Ti 0 0 0", "O1 O ? ? 0"]
    cell = {"length_a": "4.594", "length_b": "4.594", "length_c": "2.959"}
    path, out = tmp_path / "rutile.cif", tmp_path / "out"
    path.write_text(
        cif_of(rows, cell).replace("loop_", "_symmetry_Int_Tables_number 136\nloop_", 1)
    )
    ended = cli("infill", path, "--n", 3, "--space-group", "file", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "orbits found" in ended.stdout
    first = json.loads((out / "infill_results.jsonl").read_text().splitlines()[0])
    assert first["symbols"] == ["Ti"] * 2 + ["O"] * 4
    assert first["orbits"].split()[1] in ("4f", "4g")
    assert first["space_group"] == 136
    said = refusal(path, "--space-group", "Fm-3m")
    assert "those of space group 136" in said


def test_the_seed_of_a_completion_goes_on_with_no_run(cli: Run) -> None:
    shown = {name: cli(name, "--help").stdout for name in ("sample", "infill")}
    assert "keeps its seed" in " ".join(shown["sample"].replace("│", " ").split())
    assert "holds a run" not in " ".join(shown["infill"].replace("│", " ").split())


DISORDERED = cif_of(["Na1 Na 0 0 0"]).replace("fract_z", "fract_z\n_atom_site_occupancy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to fill in"),
        (("--site", "9"), "there is no site 9; sites count from 0 to 4"),
        (("--site", "Fe1"), "no site is called 'Fe1'"),
        (("--site", "Ti"), "Did you mean 'Ti4'"),
        (("--replace", "ti"), "Did you mean 'Ti'"),
        (("--replace", "Fe"), "the crystal has no Fe"),
        (("--replace", "Ti", "--candidates", "Co,Nj"), "no element 'Nj'"),
        (("--replace", "Ti", "--candidates", "simlar"), "Did you mean 'similar'"),
        (("--replace", "Ti", "--with", "Similar"), "Did you mean 'similar'"),
        (("--with", "Co"), "--with needs --replace or --site"),
        (("--replace", "Ti", "--keep", "symmetry"), "cannot be kept"),
        (
            ("--replace", "Ti", "--keep", "spacegroup"),
            "expected space-group or cell. Did you mean 'space-group'?",
        ),
        (("--add", "30 O"), "above the maximum of 20"),
        (("--replace", "Ti", "--to", "cif"), "--out is missing"),
        (("--replace", "Ti", "--temperature", "-1"), "temperature of -1"),
        (("--cell", "--n", "0"), "0 completions"),
    ],
)
def test_a_bad_request_gets_one_message(
    refusal: Callable[..., str],
    whole: Path,
    tiny_model: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert message in refusal(whole, "--model", tiny_model, *arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DISORDERED.replace("Na 0 0 0", "Na 0 0 0 0.5"), "disordered"),
        ("nothing of a crystal", "x.cif"),
        (cif_of(["Na1 Na 0 0 0"], {"angle_alpha": "?"}), "expected all or none"),
    ],
)
def test_a_file_that_cannot_be_completed_gets_one_message(
    refusal: Callable[..., str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "x.cif"
    path.write_text(text)
    assert message in refusal(path, "--cell")


def test_of_several_structures_one_has_to_be_named(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    write_crystals([("a", SRTIO3), ("b", SRTIO3)], tmp_path / "cifs", "cif")
    message = refusal(tmp_path / "cifs", "--replace", "Ti")
    assert "more than one structure" in message
    assert "Give a file that holds only one" in message


def test_more_atoms_than_the_model_has_positions_for_are_refused_and_nothing_is_written(
    refusal: Callable[..., str], tmp_path: Path, tiny_model: Path
) -> None:
    rows = [f"Na{i} Na 0 0 {i / 100}" for i in range(80)]
    path, out = tmp_path / "x.cif", tmp_path / "out"
    path.write_text(cif_of(rows))
    said = refusal(path, "--site", 0, "--draw", "--model", tiny_model, "--out", out)
    assert "256 positions" in said
    assert not out.exists()
