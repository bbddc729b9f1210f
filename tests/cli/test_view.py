"""`crystext view` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from crystext.io.write import write_crystals
from crystext.text import encode
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS

Refuses = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six attempts, of which the second is invalid, and a torn seventh."""
    texts = [encode(crystal) for crystal in EXAMPLE_CRYSTALS.values()]
    texts.insert(1, "5.64 5.64")
    lines = [
        json.dumps({"index": i, "text": text, "fault": "TRUNCATED" if i == 1 else None})
        for i, text in enumerate(texts)
    ]
    out = tmp_path_factory.mktemp("run")
    (out / "attempts.jsonl").write_text("\n".join([*lines, '{"index": 6, "te']))
    return out


def size(path: Path) -> tuple[int, int]:
    """Return rows and columns of cells."""
    height, width = imread(path).shape[:2]
    return round(height / 435), round(width / 390)


def test_a_run_is_drawn_without_its_faults(cli: Run, run: Path, tmp_path: Path) -> None:
    ended = cli("view", run, "--out", tmp_path / "x.png", "--columns", 2)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"5 crystals in {tmp_path / 'x.png'}\n"
    assert size(tmp_path / "x.png") == (3, 2)


def test_some_of_a_run_are_drawn(cli: Run, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.svg"
    ended = cli("view", run, "--out", out, "--n", 1, "--first", 1)
    assert ended.stdout == f"1 crystal in {out}\n"
    assert "Pm-3m" in out.read_text()


def test_any_source_of_crystals_is_drawn(cli: Run, tmp_path: Path) -> None:
    write_crystals(EXAMPLE_CRYSTALS.items(), tmp_path / "cifs", "cif")
    picture = tmp_path / "new" / "folder" / "x.png"
    ended = cli("view", tmp_path / "cifs", "--out", picture)
    assert ended.returncode == 0, ended.stderr
    assert size(picture) == (2, 4)


def test_nothing_to_draw_is_told(cli_refuses: Refuses, run: Path, tmp_path: Path) -> None:
    message = cli_refuses("view", run, "--first", 5, "--out", tmp_path / "x.png")
    assert "no crystal behind the first 5; try a smaller --first" in message


def test_a_source_that_is_nowhere_is_told(cli_refuses: Refuses, tmp_path: Path) -> None:
    assert "nowhere" in cli_refuses("view", tmp_path / "nowhere", "--out", tmp_path / "x.png")


def test_another_ending_is_refused(cli_refuses: Refuses, run: Path, tmp_path: Path) -> None:
    assert "name ending in .png" in cli_refuses("view", run, "--out", tmp_path / "x.jpeg2")


def test_a_place_that_cannot_be_written_is_told(
    cli_refuses: Refuses, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in cli_refuses("view", run, "--out", tmp_path / "file" / "x.png")


def test_a_damaged_run_is_told_with_the_line(cli_refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "attempts.jsonl").write_text("{}\n")
    message = cli_refuses("view", tmp_path, "--out", tmp_path / "x.png")
    assert "line 1 is damaged" in message


def test_a_damaged_line_of_a_run_is_told_and_the_others_are_drawn(
    cli: Run, run: Path, tmp_path: Path
) -> None:
    lines = (run / "attempts.jsonl").read_text().split("\n")
    lines[2] = lines[2][: len(lines[2]) // 2]
    (tmp_path / "attempts.jsonl").write_text("\n".join(lines))
    ended = cli("view", tmp_path, "--out", tmp_path / "x.png")
    assert ended.stdout == f"4 crystals in {tmp_path / 'x.png'}\n"
    assert "crystext: line 3 is left out: line 3 is damaged; expected" in ended.stderr


def test_what_cannot_be_read_is_told_and_the_others_are_drawn(cli: Run, tmp_path: Path) -> None:
    write_crystals(EXAMPLE_CRYSTALS.items(), tmp_path / "cifs", "cif")
    (tmp_path / "cifs" / "a.cif").write_text("broken")
    ended = cli("view", tmp_path / "cifs", "--out", tmp_path / "x.svg")
    assert ended.stdout == f"{len(EXAMPLE_CRYSTALS)} crystals in {tmp_path / 'x.svg'}\n"
    assert "crystext: a is left out: it starts with 'broken'" in ended.stderr
