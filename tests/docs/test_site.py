"""The documentation builds without warnings and network, and holds the whole reference."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import typer

import crystext
from crystext.cli.main import app


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


@pytest.mark.parametrize(
    ("page", "keys"),
    [
        ("recipes", ["optim.learning_rate", "model.lora.rank", "data.store", "translate_share"]),
        ("protocols", ["validity.min_distance", "reference.source", "stability.hull"]),
    ],
)
def test_the_keys_of_files_are_in_the_reference(site: Path, page: str, keys: list[str]) -> None:
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    assert [key for key in keys if not re.search(rf"<dt id=[^>]*>.*{key}<", text)] == []


def test_the_notebooks_are_shown_with_their_pictures(root: Path, site: Path) -> None:
    for notebook in (root / "examples" / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "cell_output" in page, notebook
    assert "data:image/png" in (site / "notebooks" / "condition.html").read_text(encoding="utf-8")
