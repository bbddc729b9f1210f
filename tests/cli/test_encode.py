"""`crystext encode` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crystext.io.write import cif, write_crystals
from crystext.text import FORMATS, decode, encode
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

HALF = cif(NACL).replace("0.0  0.0  0.0  1\n", "0.0  0.0  0.0  0.5\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_crystals(sorted(EXAMPLE_CRYSTALS.items()), tmp_path / "in", "cif")
    return tmp_path / "in"


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_it_prints_what_the_codec_writes(format: str, cli: Run, folder: Path) -> None:
    ended = cli("encode", folder / "quartz.cif", "--format", format)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == encode(EXAMPLE_CRYSTALS["quartz"], format) + "\n"


def test_texts_are_separated_by_a_blank_line_or_come_as_json(cli: Run, folder: Path) -> None:
    texts = [encode(crystal) for _, crystal in sorted(EXAMPLE_CRYSTALS.items())]
    assert cli("encode", folder).stdout == "\n\n".join(texts) + "\n"
    rows = [json.loads(line) for line in cli("encode", folder, "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == sorted(EXAMPLE_CRYSTALS)
    assert [row["text"] for row in rows] == texts


def test_a_seed_fixes_the_translation_of_each_structure(cli: Run, folder: Path) -> None:
    def run(*options: object) -> str:
        return cli("encode", folder, "--translate", "--permute", *options).stdout

    assert run("--seed", 1) == run("--seed", 1)
    assert run("--seed", 1) != run("--seed", 2)
    assert run() == run("--seed", 0)
    assert all(decode(text) for text in run().strip().split("\n\n"))


def test_out_gets_what_would_be_printed(cli: Run, folder: Path, tmp_path: Path) -> None:
    ended = cli("encode", folder, "--out", tmp_path / "new" / "texts.txt")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert (tmp_path / "new" / "texts.txt").read_text() == cli("encode", folder).stdout


def test_a_broken_file_among_many_is_told_and_passed_over(cli: Run, folder: Path) -> None:
    (folder / "broken.cif").write_text("broken")
    ended = cli("encode", folder)
    assert ended.returncode == 0
    assert ended.stdout.count("\n\n") == len(EXAMPLE_CRYSTALS) - 1
    assert ended.stderr.startswith("crystext: broken: it starts with 'broken'")
    assert ended.stderr.endswith("crystext: 1 of 6 structures was left out\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("no crystal", "it starts with 'no crystal'"),
        (
            cif(NACL).replace("0.0  0.0  0.0  1\n", "0.0  0.0  0.0  0.5\n"),
            "site 1 (Na1) is disordered",
        ),
    ],
)
def test_bad_files_are_refused(
    text: str, message: str, cli_refuses: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "x.cif").write_text(text)
    assert message in cli_refuses("encode", tmp_path / "x.cif")


def test_bad_options_are_refused(cli_refuses: Callable[..., str], folder: Path) -> None:
    assert "no file or folder" in cli_refuses("encode", folder / "none.cif")
    assert "Did you mean 'plain'" in cli_refuses("encode", folder, "--format", "plane")
    assert "--seed: expected 0 or more" in cli_refuses("encode", folder, "--seed", "-1")
    out = folder / "nacl.cif" / "x"
    assert "cannot be written" in cli_refuses("encode", folder, "--out", out)


DEUTERIDE = "LiD\n1\n4 0 0\n0 4 0\n0 0 4\nLi D\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
CONTRADICTED = (
    DEUTERIDE.replace("D\n1 1", "H\n1 1")
    .replace(".5 .5 .5", ".5 .5 .5 Li")
    .replace("0 0 0\n.5", "0 0 0 H\n.5")
)


def test_what_is_only_probable_is_noted_beside_the_text(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "POSCAR").write_text(DEUTERIDE)
    note = "deuterium is read as hydrogen (site 2): texts know elements, not isotopes"
    ended = cli("encode", tmp_path / "POSCAR")
    assert ended.stderr == f"crystext: POSCAR: note: {note}\n"
    assert "\nH\n" in ended.stdout
    row = json.loads(cli("encode", tmp_path / "POSCAR", "--json").stdout)
    assert row["notes"] == [note]


def test_lenient_reads_with_a_note_what_is_refused_otherwise(
    cli: Run, cli_refuses: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "POSCAR").write_text(CONTRADICTED)
    assert "labels atom 1 H" in cli_refuses("encode", tmp_path / "POSCAR")
    ended = cli("encode", tmp_path / "POSCAR", "--lenient")
    assert ended.returncode == 0, ended.stderr
    assert "note: line 9 labels atom 1 H" in ended.stderr


def test_where_nothing_can_be_read_every_structure_is_told_why(
    cli_refuses: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "a.cif").write_text("no crystal")
    (tmp_path / "b.vasp").write_text(CONTRADICTED)
    message = cli_refuses("encode", tmp_path)
    assert "none of the 2 structures" in message
    assert "\n  a: it starts with 'no crystal'" in message
    assert "\n  b: line 9 labels atom 1 H" in message
