"""The documentation builds without warnings and network, and holds the whole reference."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

import crystext
from crystext.benchmark.suite import Suite
from crystext.cli.main import app
from crystext.evaluate.protocol import load_protocol
from crystext.study.grid import Grid
from crystext.training.recipe import Recipe


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, built as `.ci/run` builds them."""
    folder = tmp_path_factory.mktemp("site")
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    (options,) = re.findall(r'sphinx-build" (.*) docs ', script)
    assert {"-W", "-n"} <= set(options.split())
    command = [sys.executable, "-m", "sphinx", *options.split(), "docs", str(folder)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    for page in site.rglob("*.html"):
        assert loads.findall(page.read_text(encoding="utf-8")) == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8"))


def test_the_text_of_an_attribute_is_no_type(site: Path) -> None:
    """Sphinx's napoleon reads an attribute's `text: more text` as its type and its description."""
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", unescape(page))
    assert "Atoms in the cell: 8, or from 8 to 20 as (8, 20)." in text
    assert "Type:" not in text


def options(command: Any, called: str = "") -> dict[str, set[str]]:
    """Return the options of every command below one."""
    if hasattr(command, "commands"):
        return {
            name: found
            for word, inner in command.commands.items()
            for name, found in options(inner, f"{called} {word}".strip()).items()
        }
    return {called: {n for o in command.params for n in o.opts if n.startswith("-")}}


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    for command, names in options(typer.main.get_command(app)).items():
        section = re.search(
            rf'<section id="{command.replace(" ", "-")}">(.*?)</section>', page, re.DOTALL
        )
        assert section, command
        text = unescape(re.sub(r"<[^>]+>", "", section[1]))
        assert [name for name in names if name not in text] == [], command


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert [n for n in crystext.__all__ if f"crystext.{n}" not in page] == []


def keys(model: type[BaseModel], place: str = "") -> Iterator[str]:
    """Yield every key of a file, those of sections behind a dot."""
    for name, field in model.model_fields.items():
        yield f"{place}{name}"
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and not is_list(kind):
                yield from keys(kind, f"{place}{name}.")


def is_list(model: type[BaseModel]) -> bool:
    """Return whether a section is written as a list, as `metrics: [density]` is."""
    return model.model_json_schema(mode="serialization")["type"] == "array"


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("recipes", Recipe),
        ("protocols", type(load_protocol("mp20"))),
        ("suites", Suite),
        ("grids", Grid),
    ],
)
def test_every_key_of_a_file_is_in_the_reference(
    site: Path, page: str, model: type[BaseModel]
) -> None:
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    terms = re.sub(r"<[^>]+>", "", " ".join(re.findall(r"<dt id=.*?</dt>", text, re.DOTALL)))
    assert len(list(keys(model))) > 20
    assert [key for key in keys(model) if not re.search(rf"(?<![\w.]){key}(?![\w.])", terms)] == []
    # A list has no keys, and the fields of its class are none of the file's.
    assert "metrics.names" not in terms


def test_the_notebooks_are_shown_with_their_pictures(root: Path, site: Path) -> None:
    for notebook in (root / "examples" / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "cell_output" in page, notebook
    assert "data:image/png" in (site / "notebooks" / "condition.html").read_text(encoding="utf-8")
