"""The commands that a recipe opens with, which people copy."""

from __future__ import annotations

import re
import shlex

import pytest

from crystext.data.catalogue import CATALOGUE
from crystext.data.shipped import PREDICTOR_TRAINING_SET
from crystext.data.textbook import TEXTBOOK
from crystext.models.layout import SHIPPED
from crystext.runtime.shipped_files import shipped_path
from crystext.training.recipe import load_recipe
from tests.documents import parsed

RECIPES = sorted(path.stem for path in shipped_path("recipes").glob("*.yaml"))


def head(name: str) -> str:
    text = shipped_path("recipes", f"{name}.yaml").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line.startswith("#"))


def commands(name: str) -> list[list[str]]:
    """Return the arguments of each `crystext` command of a recipe's head, launched or not."""
    shown = "\n".join(line[4:] for line in head(name).splitlines() if line.startswith("#   "))
    lines = shown.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index("crystext") + 1 :] for line in words if "crystext" in line]


@pytest.mark.parametrize("name", RECIPES)
def test_the_commands_of_a_recipe_are_commands(name: str) -> None:
    called = [parsed(arguments) for arguments in commands(name)]
    assert "train" in {command for command, _ in called}
    makers = ("data prepare", "corpus build", "instruct build")
    stores = {str(given["out"]) for command, given in called if command in makers}
    stores |= {TEXTBOOK, SHIPPED, PREDICTOR_TRAINING_SET}
    for command, given in called:
        if command == "data prepare":
            sources = {given[key] for key in ("source", "validation", "test")} - {None}
            # A folder of the reader's own is written as one.
            assert all(source in CATALOGUE or source.endswith("/") for source in sources), sources
        if command == "train":
            assert given["recipe"] == name
            recipe = load_recipe(name, given["overrides"])
            store = str(recipe.data.store)
            # A predictor learns from a table of the reader's own.
            is_table = store.endswith(".csv") and not recipe.generates
            assert store in stores or is_table, store


def test_an_option_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed(["data", "prepare", "mp_20", "--out", "x", "--drop-overlaps"])


@pytest.mark.parametrize("name", RECIPES)
def test_files_that_a_recipe_names_are_shipped(name: str) -> None:
    for path in re.findall(r"recipes/[\w/.-]*\.yaml", head(name)):
        assert shipped_path(path).is_file(), path
