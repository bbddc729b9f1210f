"""`crystext study report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crystext.cli.main import app
from tests.study.example_grid import write_grid, write_table
from tests.study.simulated_study import example_rows, write_rows


def test_a_study_is_reported_by_the_factors_given(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "study", example_rows())
    out = tmp_path / "out"
    called = ["study", "report", source, "--by", "architecture", "--by", "size,architecture",
              "--bootstrap", 100, "--out", out]  # fmt: skip
    ended = CliRunner().invoke(app, list(map(str, called)))
    assert ended.exit_code == 0, ended.output
    assert "By size x architecture" in ended.output
    assert (out / "report.html").is_file()


def test_bad_tables_and_factors_are_refused_in_one_message(
    cli_refuses: Callable[..., str], tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "study", example_rows())
    message = cli_refuses("study", "report", source, "--by", "sise", "--out", tmp_path / "out")
    assert "Did you mean 'size'" in message
    assert not (tmp_path / "out").exists()


def test_a_grid_is_checked_and_its_networks_are_printed(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    called = ["study", "check", str(write_grid(tmp_path)), "--data", str(write_table(tmp_path))]
    ended = CliRunner().invoke(app, called)
    assert ended.exit_code == 0, ended.output
    assert "12 pretrainings, 1 task" in ended.output
    assert "roberta" in ended.output
