"""What the README shows is what happens."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from crystext import decode, encode
from tests.docs.shell import run_script, runnable, type_in
from tests.documents import blocks


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


CHECK = """
assert {x.formula for x in samples} == {"SrTiO3"}
assert [x.name for x in samples[0].conditions] == ["composition", "space_group"]
"""
"""What has to hold after the README's Python."""

WRITTEN = ("crystals.png", "titanates/attempts.jsonl", "relaxed/relaxed.parquet", "energies.csv")
"""What its commands write."""


def test_what_is_shown_runs_in_order_from_a_fresh_clone(
    readme: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    # Whatever the user has downloaded before.
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    type_in("crystext sample --n 100 --out run", tmp_path)  # the end of the first command
    scripts = 0
    for language, content in runnable(readme):
        if language == "python":
            run_script(f"{content}\n{CHECK}", tmp_path)
            scripts += 1
        else:
            type_in(content, tmp_path)
    assert scripts == 1
    assert [name for name in WRITTEN if not (tmp_path / name).exists()] == []


def test_continuous_integration_finds_its_one_command_in_the_readme(
    root: Path, readme: str
) -> None:
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -E '(.*)' README.md", script)
    (command,) = re.findall(pattern, readme, flags=re.MULTILINE)
    assert "pip install -c constraints.txt -e '.[test]'" in command


def test_the_first_command_stands_on_one_line_and_ends_in_crystals(readme: str) -> None:
    _, first = blocks(readme, "sh")[0]
    assert "\n" not in first
    assert re.search(
        r"pip install -c constraints.txt .*&& \S*crystext sample --n 100 --out run", first
    )


def test_the_text_shown_is_the_text_written(readme: str) -> None:
    _, text = blocks(readme, "")[0]
    decoded = decode(text)
    assert decoded.crystal is not None
    assert encode(decoded.crystal) == text


def test_the_readme_fits_on_two_screens(readme: str) -> None:
    assert len(readme.splitlines()) <= 110
