"""`crystext decode` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crystext.io.read import read_crystals
from crystext.io.write import cif
from crystext.text import decode, encode
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ

TEXTS = [encode(crystal) for _, crystal in sorted(EXAMPLE_CRYSTALS.items())]


@pytest.mark.parametrize("out", ["cifs", "x.cif", "x.extxyz", "x.parquet"])
def test_texts_become_files_with_the_same_crystals(out: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n\n".join(TEXTS) + "\n")
    ended = cli("decode", tmp_path / "texts.txt", "--out", tmp_path / out)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    crystals = [item.crystal for item in read_crystals(tmp_path / out)]
    assert [encode(crystal) for crystal in crystals if crystal] == TEXTS


def test_it_prints_a_cif_unless_told_otherwise(cli: Run) -> None:
    text = encode(QUARTZ)
    crystal = decode(text).crystal
    assert crystal is not None
    assert cli("decode", "-", input=text + "\n").stdout == cif(crystal, "text-1-SiO2")
    assert "direct" in cli("decode", "-", "--to", "poscar", input=text).stdout
    assert "Lattice=" in cli("decode", "-", "--to", "extxyz", input=text).stdout


def test_encode_and_decode_are_inverse_on_the_command_line(cli: Run, tmp_path: Path) -> None:
    texts = cli("decode", "-", "--out", tmp_path / "x", input="\n\n".join(TEXTS)).stderr
    assert texts == ""
    again = cli("encode", tmp_path / "x").stdout
    assert again == "\n\n".join(TEXTS) + "\n"


def test_json_lines_carry_names_and_may_hold_blank_lines(cli: Run, tmp_path: Path) -> None:
    rows = [
        {"name": "first", "text": TEXTS[0]},
        {"index": 7, "text": "I think:\n\n" + TEXTS[1] + "\n\nThat is all.", "fault": None},
    ]
    document = "\n".join(map(json.dumps, rows)) + "\n"
    ended = cli("decode", "-", "--lenient", "--out", tmp_path / "x", input=document)
    assert ended.returncode == 0
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["000007-NaCl.cif", "first.cif"]
    assert "crystext: 7: repaired: " in ended.stderr
    assert "text before the crystal" in ended.stderr


def test_one_forgiving_text_may_have_prose_and_blank_lines(cli: Run) -> None:
    document = "Here it is:\n\n" + TEXTS[0].replace("\n", "\n\n", 3) + "\n\nHave fun!\n"
    assert cli("decode", "-", "--lenient", input=document).returncode == 0
    assert cli("decode", "-", "--strict", input=document).returncode == 2


def test_bad_texts_among_good_ones_are_listed_with_their_line(cli: Run) -> None:
    bad = encode(NACL).replace("Cl", "Qq", 1)
    line = bad.split("\n").index("Qq") + 1
    ended = cli("decode", "-", input="\n\n".join([TEXTS[0], bad, TEXTS[1]]))
    assert ended.returncode == 0
    assert ended.stdout.count("data_") == 2
    assert ended.stderr.startswith(f"crystext: text-2: UNKNOWN_ELEMENT, line {line}: ")
    assert "found 'Qq'" in ended.stderr
    assert ended.stderr.endswith("crystext: 1 of 3 texts was left out\n")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("noise", "BAD_LENGTHS, line 1"),
        (cif(NACL), "standard input is a CIF; expected texts of crystals. Use crystext encode"),
        ("# made by hand\n" + cif(NACL), "Use crystext encode"),
        ("noise\n\nmore", "none of the 2 texts is a crystal"),
        (TEXTS[0][:-3], "TRUNCATED"),
        ('{"name": 1}', "line 1 is not a JSON object with a text"),
        ('{"text": 1}', "line 1 is not a JSON object with a text"),
        ("{" * 100_000, "line 1 is not a JSON object with a text"),
    ],
)
def test_a_document_without_a_crystal_is_refused(
    document: str, message: str, cli_refuses: Callable[..., str]
) -> None:
    if document == TEXTS[0][:-3]:
        document = TEXTS[0].rsplit("\n", 1)[0]
    assert message in cli_refuses("decode", "-", input=document)


def test_bad_options_are_refused(cli_refuses: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\n\n".join(TEXTS))
    assert "no file" in cli_refuses("decode", tmp_path / "none")
    assert "is a folder" in cli_refuses("decode", tmp_path)
    assert "Did you mean 'poscar'" in cli_refuses("decode", path, "--to", "poskar")
    assert "a POSCAR holds one" in cli_refuses("decode", path, "--to", "poscar")
    assert "a POSCAR holds one" in cli_refuses("decode", path, "--out", tmp_path / "x.vasp")
    assert "name a file with --out" in cli_refuses("decode", path, "--to", "parquet")
    assert "WRONG_PRECISION" in cli_refuses("decode", path, "--format", "gruver2024")
    assert "cannot be written" in cli_refuses("decode", path, "--out", path / "x.cif")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert "not UTF-8 text" in cli_refuses("decode", tmp_path / "binary")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["binary", "x.txt"]
