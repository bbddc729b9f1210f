"""Suites, grids and recipes are found, read and refused in one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crystext.benchmark.suite import load_suite
from crystext.corpus.recipe import load_corpus_recipe
from crystext.errors import SettingError
from crystext.study.grid import load_grid
from crystext.training.recipe import load_recipe

LOADERS: dict[str, tuple[Callable[[Path | str], object], str]] = {
    "suite": (load_suite, "matbench"),
    "grid": (load_grid, "arch-scale-paper"),
    "corpus recipe": (load_corpus_recipe, "crystal-texts"),
    "recipe": (load_recipe, "smoke"),
}

each_kind = pytest.mark.parametrize("kind", LOADERS)


@each_kind
def test_a_shipped_one_has_a_name_and_a_wrong_name_a_suggestion(kind: str) -> None:
    load, name = LOADERS[kind]
    load(name)
    with pytest.raises(SettingError, match=f"no {kind} or file '{name}x'.*Did you mean '{name}'"):
        load(f"{name}x")


@each_kind
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "it holds no settings; expected a mapping with"),
        ("a: [", "is not YAML"),
        ("nonsense: 1", "has faults:\n.*nonsense: no such setting"),
    ],
)
def test_a_file_of_something_else_is_one_message(
    kind: str, content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(SettingError, match=f"(?s){message}"):
        LOADERS[kind][0](path)
