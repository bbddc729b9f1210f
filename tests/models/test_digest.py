from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from crystext.models.digest import model_hash


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be harmed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def test_the_hash_is_that_of_the_content_wherever_it_lies(folder: Path, tiny_model: Path) -> None:
    assert model_hash(folder) == model_hash(tiny_model)
    (folder / "README.md").write_text("notes do not matter")
    assert model_hash(folder) == model_hash(tiny_model)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "prompts/generate.txt"]
)
def test_the_hash_changes_with_every_file_that_matters(folder: Path, name: str) -> None:
    before = model_hash(folder)
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    assert model_hash(folder) != before


def test_the_quick_hash_of_a_small_model_is_the_hash(folder: Path) -> None:
    assert model_hash(folder, quick=True) == model_hash(folder)


def test_the_quick_hash_tells_large_weights_from_trained_ones(folder: Path) -> None:
    path = folder / "model.safetensors"
    # Holes take no place on the disk.
    os.truncate(path, 300 * 2**20)
    before = model_hash(folder, quick=True)
    assert before == model_hash(folder, quick=True)
    with path.open("r+b") as file:
        file.seek(3 * 2**20)
        file.write(b"\1" * 2**22)
    assert model_hash(folder, quick=True) != before
    os.truncate(path, 300 * 2**20 + 1)
    assert model_hash(folder, quick=True) != before


def test_a_file_that_moves_changes_the_hash(folder: Path) -> None:
    before = model_hash(folder)
    (folder / "prompts" / "infill.txt").rename(folder / "infill.txt")
    assert model_hash(folder) != before
