from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.sources import crystal_store, papers, write_recipe

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    sources = {
        "papers": {"jsonl": str(papers(tmp_path / "p.jsonl", 1, 50)), "when_dry": "stop"},
        "cif": {"crystals": crystal_store(tmp_path / "store", 0, 5), "when_dry": "repeat"},
    }
    return write_recipe(tmp_path / "recipe.yaml", sources)


def test_build_and_show(cli: Run, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    built = cli("corpus", "build", recipe, "--out", out, "context_tokens=32")
    assert built.returncode == 0, built.stderr
    assert "blocks of 32" in built.stdout
    assert "cif was repeated" in built.stdout
    shown = cli("corpus", "show", out, "--verify", "--block", "0")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(built.stdout)
    assert "--- papers, " in shown.stdout


def test_bad_input_is_one_message(
    cli_refuses: Callable[..., str], recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    message = cli_refuses("corpus", "build", recipe, "--out", out, "tokns=3", "seed=-1")
    assert "Did you mean 'tokens'" in message
    assert "seed: expected a number of at least 0" in message
    assert not out.exists()
    assert "is not a corpus" in cli_refuses("corpus", "show", tmp_path)
